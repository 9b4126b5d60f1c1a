"""The aggregates of kv_cache, recomputed from the files of its ranks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.leaf import Leaf, RankFile
from mlpstorage_bench.leaves.reading import Unreadable

ByTrial = list[list[float]]


@dataclass(frozen=True)
class Aggregate:
    """How one aggregate follows from a value of each rank."""

    keys: tuple[str, ...]
    """The value's place in a rank file."""
    combine: Callable[[ByTrial], float | None]
    """Function of the values of the ranks of each trial."""
    default: float | None = None
    """Value for a rank file without one; None leaves the rank out."""


@dataclass(frozen=True)
class MissingRanks:
    """An aggregate that cannot be recomputed, as rank files are missing."""

    cause: str


def _mean_of_sums(trials: ByTrial) -> float | None:
    """Return the mean over trials of the sum over ranks; a trial without a file is left out."""
    sums = [sum(values) for values in trials if values]
    return fmean(sums) if sums else None


def _greatest(trials: ByTrial) -> float | None:
    return max((value for values in trials for value in values), default=None)


_STATS = ("summary", "cache_stats")
AGGREGATES = {
    "aggregated_read_bandwidth_gbps": Aggregate(
        (*_STATS, "tier_storage_read_bandwidth_gbps"), _mean_of_sums, 0.0
    ),
    "aggregated_write_bandwidth_gbps": Aggregate(
        (*_STATS, "tier_storage_write_bandwidth_gbps"), _mean_of_sums, 0.0
    ),
    "aggregated_avg_throughput_tokens_per_sec": Aggregate(
        ("summary", "avg_throughput_tokens_per_sec"), _mean_of_sums, 0.0
    ),
    "aggregated_storage_throughput_tokens_per_sec": Aggregate(
        ("summary", "storage_throughput_tokens_per_sec"), _mean_of_sums, 0.0
    ),
    "aggregated_p95_latency_ms": Aggregate(("summary", "storage_io_latency_ms", "p95"), _greatest),
    "aggregated_storage_read_p95_ms": Aggregate((*_STATS, "storage_read_p95_ms"), _greatest),
    "aggregated_device_read_p95_ms": Aggregate((*_STATS, "storage_read_device_p95_ms"), _greatest),
    "aggregated_device_write_p95_ms": Aggregate(
        (*_STATS, "storage_write_device_p95_ms"), _greatest
    ),
}


def rank_files_of(leaf: Leaf, option: str) -> list[RankFile]:
    """Return the rank files of an option that can be read."""
    return [
        file
        for file in leaf.rank_files
        if str(file.option) == option and not isinstance(file.document, Unreadable)
    ]


def expected_files(option: Document) -> int | None:
    """Return the number of rank files that a summary counts: ranks x trials, less those missing."""
    ranks, trials = option.count("rank_count"), option.count("trial_count")
    if ranks is None or trials is None:
        return None
    return ranks * trials - len(option.parts("missing_files"))


def recomputed(
    leaf: Leaf, option: str, recorded: Document, aggregate: Aggregate
) -> float | MissingRanks | None:
    """Return an aggregate from the rank files, if all that the summary counts are in the leaf."""
    files = rank_files_of(leaf, option)
    expected = expected_files(recorded)
    if expected is None:
        return MissingRanks("the summary lacks rank_count or trial_count")
    if len(files) < expected:
        return MissingRanks(f"{len(files)} of {expected} rank files are in the leaf")
    trials: dict[int, list[float]] = {}
    for file in files:
        values = trials.setdefault(file.trial, [])
        assert isinstance(file.document, Document)  # rank_files_of leaves the others out
        value = file.document.number(*aggregate.keys)
        if value is None:
            value = aggregate.default
        if value is not None:
            values.append(value)
    return aggregate.combine(list(trials.values()))
