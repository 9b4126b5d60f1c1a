"""Figures of kv_cache runs of the reference under this project's names, by option and trial.

The names are those of our metrics where both mean the same operation; the definitions differ
(`leaves.definitions`). Figures of a run come from its summary; those of a trial, from the files of
its ranks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.kv_aggregates import expected_files
from mlpstorage_bench.leaves.leaf import RankFile
from mlpstorage_bench.leaves.reading import Unreadable, read_json
from mlpstorage_bench.metric.declaration import Better, Description, Shown
from mlpstorage_bench.results.metadata_parts import is_measurement
from mlpstorage_bench.units import GIB_PER_S, MILLISECONDS, PER_S, TOKENS_PER_S, Unit

_OPTION = re.compile(r"[0-9]{1,6}")
_RANK_OF_TRIAL = re.compile(r"option_\d+/trial_(\d+)/rank_(\d+)")
_STATS = ("summary", "cache_stats")


@dataclass(frozen=True)
class Figure:
    """One figure: its name here, its place in a rank's file, and its key in a summary."""

    name: str
    title: str
    unit: Unit
    better: Better
    keys: tuple[str, ...]
    """The place in a rank's file."""
    aggregate: str | None = None
    """The key of the figure in an option of a summary; None if no summary has it."""
    is_sum: bool = True
    """Whether a trial's value is the sum over ranks, or else their maximum."""
    is_listed: bool = False

    @property
    def description(self) -> Description:
        """The description that readers of metrics get."""
        shown = Shown.LISTS if self.is_listed else Shown.REPORT
        return Description(self.name, self.title, self.unit, better=self.better, shown=shown)


FIGURES = (
    Figure(
        *("read_gib_s", "read GiB/s", GIB_PER_S, "higher"),
        (*_STATS, "tier_storage_read_bandwidth_gbps"),
        "aggregated_read_bandwidth_gbps",
        is_listed=True,
    ),
    Figure(
        *("write_gib_s", "write GiB/s", GIB_PER_S, "higher"),
        (*_STATS, "tier_storage_write_bandwidth_gbps"),
        "aggregated_write_bandwidth_gbps",
        is_listed=True,
    ),
    Figure(
        *("tokens_per_s", "tokens/s", TOKENS_PER_S, "higher"),
        ("summary", "avg_throughput_tokens_per_sec"),
        "aggregated_avg_throughput_tokens_per_sec",
        is_listed=True,
    ),
    Figure(
        *("storage_tokens_per_s", "storage tokens/s", TOKENS_PER_S, "higher"),
        ("summary", "storage_throughput_tokens_per_sec"),
        "aggregated_storage_throughput_tokens_per_sec",
    ),
    Figure(
        *("request_io_p95_ms", "request I/O p95 ms", MILLISECONDS, "lower"),
        ("summary", "storage_io_latency_ms", "p95"),
        "aggregated_p95_latency_ms",
        is_sum=False,
        is_listed=True,
    ),
    Figure(
        *("read_host_p95_ms", "read p95 ms with host", MILLISECONDS, "lower"),
        (*_STATS, "storage_read_p95_ms"),
        "aggregated_storage_read_p95_ms",
        is_sum=False,
    ),
    Figure(
        *("read_p95_ms", "read p95 ms", MILLISECONDS, "lower"),
        (*_STATS, "storage_read_device_p95_ms"),
        is_sum=False,
    ),
    Figure(
        *("write_p95_ms", "write p95 ms", MILLISECONDS, "lower"),
        (*_STATS, "storage_write_device_p95_ms"),
        is_sum=False,
    ),
    Figure(
        *("requests_per_s", "req/s", PER_S, "higher"),
        ("summary", "requests_per_second"),
    ),
)
Values = Mapping[str, float]
"""Figures by name."""


def options_of(summary: Document) -> list[tuple[str, Document]]:
    """Return the options of a summary, by number; others are left out."""
    return [(name, part) for name, part in summary.items("options") if _OPTION.fullmatch(name)]


def of_summary(option: Document) -> dict[str, float]:
    """Return the figures of an option in a summary."""
    found = ((one.name, option.number(one.aggregate)) for one in FIGURES if one.aggregate)
    return {name: value for name, value in found if value is not None and is_measurement(value)}


def of_trials(files: Iterable[RankFile]) -> dict[int, dict[str, float]]:
    """Return the figures of each trial (from 0) of an option, over the ranks that are there.

    A file that cannot be read, or a value that is no number, counts as a rank that is missing.
    """
    by_trial: dict[int, list[dict[str, float]]] = {}
    for file in files:
        document = read_json(file.path)  # large, and not kept
        if not isinstance(document, Unreadable):
            values = ((one.name, document.number(*one.keys)) for one in FIGURES)
            of_rank = {name: value for name, value in values if value is not None}
            by_trial.setdefault(file.trial, []).append(of_rank)
    return {trial: _of_trial(ranks) for trial, ranks in by_trial.items()}


def _of_trial(ranks: list[dict[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in FIGURES:
        values = [rank[one.name] for rank in ranks if one.name in rank]
        value = (sum(values) if one.is_sum else max(values)) if values else None
        if value is not None and is_measurement(value):
            found[one.name] = value
    return found


def over_trials(trials: Iterable[Values]) -> dict[str, float]:
    """Return the figures over all trials: the mean of sums, the greatest of maxima."""
    found: dict[str, float] = {}
    known = list(trials)
    for one in FIGURES:
        values = [trial[one.name] for trial in known if one.name in trial]
        if values:
            found[one.name] = fmean(values) if one.is_sum else max(values)
    return found


@dataclass(frozen=True)
class RanksFound:
    """How many results of ranks an option has."""

    expected: int
    """Ranks of each trial."""
    fewest: int
    """Ranks found in the trial with the fewest."""
    missing: int
    """Results that are missing in all trials."""
    total: int
    """Results expected in all trials."""


def ranks_found(option: Document) -> RanksFound | None:
    """Return how many results of ranks an option of a summary misses; None if it does not say."""
    expected, trials = option.count("rank_count"), option.count("trial_count")
    if expected is None or trials is None:
        return None
    missing = option.texts("missing_files")
    by_trial: dict[str, set[str]] = {}
    for text in missing:
        place = _RANK_OF_TRIAL.search(text)
        if place is not None:
            by_trial.setdefault(place[1], set()).add(place[2])
    worst = max(map(len, by_trial.values()), default=min(len(missing), expected))
    return RanksFound(expected, max(expected - worst, 0), len(missing), expected * trials)


def is_whole(option: Document, files: int) -> bool:
    """Return whether all results of ranks that a summary counts are among this many files."""
    expected = expected_files(option)
    return expected is not None and files >= expected > 0
