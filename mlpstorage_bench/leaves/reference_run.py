"""A run of the reference, as its place and the files of its directory tell.

Its metadata has no figures, and in part the values of the submitter's machine: a run is identified
by where its directory lies, and its figures are in the summary and in the files of its ranks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlpstorage_bench.leaves import kv_figures
from mlpstorage_bench.leaves.definitions import UNLIKE_OURS
from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.leaves.leaf import Leaf
from mlpstorage_bench.leaves.place import Place, place_of
from mlpstorage_bench.leaves.reading import Unreadable
from mlpstorage_bench.results.metadata_parts import (
    CaseFacts,
    MetricFacts,
    Object,
    TrialFacts,
    is_measurement,
)
from mlpstorage_bench.results.run_metadata import ReferenceFacts, RunMetadata

_KV_CACHE = "kv_cache"
_RUN = "run"
_CLOSED = "closed"
COUNT_AS_ONE_TRIAL = (
    "files of ranks are missing, so the summary's figures over all trials count as one trial"
)
_DEFAULTS = "parameters are the program's defaults; the command of each trial says what ran"
_MOST_RANKS = (1 << 31) - 1


def leaf_of(folder: Path, metadata: RunMetadata) -> Leaf:
    """Return a run's directory; outside of a results tree, by its metadata."""
    folder = folder.absolute()
    place = place_of(folder)
    if place is None:
        kind, model, command = metadata.benchmark_type, metadata.model, metadata.command
        place = Place("", "", "", kind, model, "", command, (kind, model, command))
    return Leaf(folder, place)


def without_metadata(leaf: Leaf, *, with_trials: bool = False) -> RunMetadata:
    """Return a run whose directory has a summary and no metadata."""
    metadata = RunMetadata(benchmark_type=leaf.benchmark_type, run_datetime=leaf.timestamp)
    content = Document(None, leaf.path)
    return with_files(metadata, content, leaf, with_trials=with_trials)


def with_files(
    metadata: RunMetadata, content: Document, leaf: Leaf, *, with_trials: bool = False
) -> RunMetadata:
    """Return metadata of the reference with the figures and facts of the run's other files.

    `content` is the whole metadata. `with_trials` also reads the files of ranks, which may have
    gigabytes in all.
    """
    place, summary = leaf.place, _summary(leaf)
    changed: Object = {}
    if place.division:
        model = f"{place.model}_{place.index}" if place.index else place.model
        changed |= {"benchmark_type": place.benchmark_type, "model": model}
        changed |= {"command": place.command, "run_datetime": leaf.timestamp}
    if metadata.num_processes is None:
        changed["num_processes"] = _ranks(content, summary)
    if not metadata.hosts:
        changed["hosts"] = tuple(map(_without_slots, content.texts("args", "hosts")))
    is_kv_run = place.benchmark_type == _KV_CACHE and place.command == _RUN
    cases: dict[str, CaseFacts | None] = {}
    notes: list[str] = []
    if is_kv_run:
        figures, cases, notes = _kv_figures(leaf, summary, with_trials=with_trials)
        changed["metrics"] = figures
        notes = [*UNLIKE_OURS, *notes, *_notes(content, summary)]
        has_defaults = place.division == _CLOSED and not content.has("parameters", "options")
        if has_defaults and content.has("parameters"):
            notes.append(_DEFAULTS)
    elif not metadata.metrics:
        changed["metrics"] = _figures(summary)
    own = ReferenceFacts(
        status=_status(content, summary),
        mode=place.division or None,
        orgname=place.organization or None,
        systemname=place.system or None,
        exit_status=content.count("exit_status"),
        metric_descriptions=_DESCRIBED if is_kv_run else {},
        cases=cases,
        notes=tuple(notes),
        host_count=_count(summary.count("host_count") or summary.count("num_hosts")),
        ranks_found=_ranks_found(summary) if is_kv_run else None,
    )
    return metadata.with_reference(own, changed)


def _summary(leaf: Leaf) -> Document:
    summary = leaf.any_summary
    return Document(None, leaf.path) if isinstance(summary, Unreadable) else summary


def _ranks(content: Document, summary: Document) -> int | None:
    counts = (summary.count("total_ranks"), summary.count("num_accelerators"))
    return _count(next(filter(None, counts), content.count("mpi_world_size")))


def _count(value: int | None) -> int | None:
    return value if value and value <= _MOST_RANKS else None


def _without_slots(host: str) -> str:
    name, _, slots = host.rpartition(":")
    return name if slots.isdigit() and ":" not in name else host


def _status(content: Document, summary: Document) -> str:
    """Return whether it passed; '-' if no file says so."""
    status = content.count("exit_status")
    if status or summary.flag("partial_failure") or not summary.part("trial_failures").is_empty:
        return "failed"
    return "passed" if status == 0 or not summary.is_empty else "-"


def _kv_figures(
    leaf: Leaf, summary: Document, *, with_trials: bool
) -> tuple[Object, dict[str, CaseFacts | None], list[str]]:
    """Return the figures of each option over all trials and of its trials, and notes on them."""
    figures: Object = {}
    cases: dict[str, CaseFacts | None] = {}
    alone: list[str] = []
    for option, recorded in kv_figures.options_of(summary):
        values = kv_figures.of_summary(recorded)
        trials: dict[int, dict[str, float]] = {}
        if with_trials:
            files = [file for file in leaf.rank_files if str(file.option) == option]
            if kv_figures.is_whole(recorded, len(files)):
                trials = kv_figures.of_trials(files)
                values = {**kv_figures.over_trials(trials.values()), **values}
            elif values:
                trials = {0: values}
                alone.append(option)
        figures[option] = values
        facts = [TrialFacts(trial=trial + 1, metrics=one) for trial, one in sorted(trials.items())]
        cases[option] = CaseFacts(trials=tuple(facts))
    notes = [f"case {', '.join(alone)}: {COUNT_AS_ONE_TRIAL}"] if alone else []
    return figures, cases, notes


def _ranks_found(summary: Document) -> int | None:
    found = [kv_figures.ranks_found(option) for _, option in kv_figures.options_of(summary)]
    fewest = [one.fewest for one in found if one is not None and one.missing]
    return min(fewest, default=None)


def _notes(content: Document, summary: Document) -> Iterator[str]:
    """Yield notes for readers of the figures."""
    if content.is_empty:
        yield "it has no metadata: its place and its summary are all that is known"
    if summary.is_empty:
        yield "it has no summary that can be read, so it has no figures"
    for option, recorded in kv_figures.options_of(summary):
        found = kv_figures.ranks_found(recorded)
        if found is not None and found.missing:
            yield (
                f"case {option}: {found.total - found.missing} of {found.total} results of ranks "
                "were found; sums are of those"
            )
    for option, failures in summary.items("trial_failures"):
        for failure in failures.parts():
            yield f"case {option}: trial {failure.count('trial')} (from 0) failed"
    described = content.count("system_info", "num_hosts")
    took_part = summary.count("host_count")
    if described is not None and took_part is not None and described < took_part:
        yield f"{described} of {took_part} hosts are described"


def _figures(summary: Document) -> dict[str, float]:
    """Return the figures of a run of another type: of training, checkpointing, and vectors."""
    source = summary if summary.part("metric").is_empty else summary.part("metric")
    named = ((name, part.number()) for name, part in source.items())
    return {
        name: value
        for name, value in named
        if value is not None and is_measurement(value) and name not in _NO_FIGURES
    }


_NO_FIGURES = frozenset({"start", "end", "num_accelerators", "num_hosts", "epochs"})


_DESCRIBED = {one.name: MetricFacts.of(one.description) for one in kv_figures.FIGURES}
