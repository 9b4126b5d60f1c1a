"""Metrics of a run by case and trial, with the fingerprints that decide comparability."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.history.cache_directories import CacheDirectory, of_metadata, replaced
from mlpstorage_bench.history.reading import NoRunError, read_metadata
from mlpstorage_bench.leaves.definitions import UNLIKE_OURS
from mlpstorage_bench.measure.conditions import TrialConditions
from mlpstorage_bench.results.run_metadata import RunMetadata
from mlpstorage_bench.results.verification import CLOSED_MODE

_MOST_DIFFERENCES = 8
_ABSENT = "nothing"
_OTHER_LOAD = " (the same parameters load the storage differently)"


@dataclass(frozen=True)
class TrialSeries:
    """One trial of a case."""

    metrics: Mapping[str, float]
    """Every metric that is one number."""
    conditions: TrialConditions | None = None
    """None in results of versions that did not record them."""


@dataclass(frozen=True)
class CaseSeries:
    """One case of a run."""

    workload_fingerprint: str | None
    workload_parts: Json
    """The facts whose digest is the fingerprint."""
    trials: tuple[TrialSeries, ...]
    """Trials in the order of time."""

    def values(self, metric: str) -> list[float]:
        """Return the values of a metric, one for each trial that has it."""
        return [trial.metrics[metric] for trial in self.trials if metric in trial.metrics]

    @property
    def conditions(self) -> list[TrialConditions]:
        """The conditions of the trials for which they are known."""
        return [trial.conditions for trial in self.trials if trial.conditions is not None]


@dataclass(frozen=True)
class RunSeries:
    """A run with its cases, tags and fingerprints."""

    run_id: str
    started: str
    """ISO 8601."""
    benchmark_type: str
    system_fingerprint: str | None
    system_parts: Json
    cases: Mapping[str, CaseSeries]
    tags: tuple[str, ...] = ()
    branch: str | None = None
    """Branch of the tests' repository."""
    cache_directories: tuple[CacheDirectory, ...] = ()
    is_of_reference: bool = False
    """Whether another program measured it, by definitions of its own."""
    notes: tuple[str, ...] = ()
    """Sentences about a run of the reference, for readers of its figures."""
    has_fixed_trials: bool = False
    """Whether the rules of its mode fix the number of trials."""

    def differences(self, other: RunSeries, case: str) -> list[str]:
        """Return the differences that make a case incomparable with that of another run."""
        own, theirs = self.cases[case], other.cases.get(case)
        if theirs is None:
            return [f"it has no case {case}"]
        if self.is_of_reference != other.is_of_reference:
            return [f"definitions: {definition}" for definition in UNLIKE_OURS]
        return [
            *_fingerprint_differences(
                "workload",
                (own.workload_fingerprint, own.workload_parts),
                (theirs.workload_fingerprint, theirs.workload_parts),
            ),
            *_fingerprint_differences(
                "system",
                (self.system_fingerprint, self.system_parts),
                (other.system_fingerprint, other.system_parts),
            ),
            *(
                f"storage under {one.path} on {one.host}: {one.storage} here, {old.storage} there"
                for one, old in replaced(self.cache_directories, other.cache_directories)
            ),
        ]

    def remarks_on(self, other: RunSeries) -> list[str]:
        """Return remarks on a run of the reference with which this run is compared."""
        unlike = self.is_of_reference != other.is_of_reference
        return [
            *(f"unlike: {definition}" for definition in UNLIKE_OURS if unlike),
            *(f"{other.run_id}: {note}" for note in other.notes),
        ]


_Fingerprint = tuple[str | None, Json]
"""Digest and parts."""


def _fingerprint_differences(what: str, mine: _Fingerprint, its: _Fingerprint) -> list[str]:
    if mine[0] is not None and mine[0] == its[0]:
        return []
    return list(_part_differences(what, mine[1], its[1])) or [f"{what}: a fingerprint is missing"]


def _part_differences(where: str, mine: object, its: object) -> Iterator[str]:
    if isinstance(mine, Mapping) and isinstance(its, Mapping):
        for key in sorted({*mine, *its}):
            yield from _part_differences(f"{where}.{key}", mine.get(key), its.get(key))
    elif isinstance(mine, list) and isinstance(its, list) and len(mine) == len(its):
        for number, (one, other) in enumerate(zip(mine, its, strict=True)):
            yield from _part_differences(f"{where}[{number}]", one, other)
    elif mine != its:
        reason = _OTHER_LOAD if where == "workload.version" else ""
        yield f"{where}: {_json(mine)} here, {_json(its)} there{reason}"


def _json(value: object) -> str:
    return _ABSENT if value is None else json.dumps(value, ensure_ascii=False)


def format_differences(differences: list[str]) -> str:
    """Return differences as one line, cut after the first eight."""
    more = len(differences) - _MOST_DIFFERENCES
    shown = "; ".join(differences[:_MOST_DIFFERENCES])
    return f"{shown}; and {more} more" if more > 0 else shown


def series_from_metadata(metadata: RunMetadata) -> RunSeries:
    """Return the run that metadata describes; one of the reference, with the trials that it has."""
    own = metadata.own
    return RunSeries(
        run_id=own.run_id or metadata.run_datetime,
        started=metadata.started.isoformat(),
        benchmark_type=metadata.benchmark_type,
        system_fingerprint=own.system_fingerprint,
        system_parts=own.system_fingerprint_parts,
        cases={
            name: CaseSeries(
                case.workload_fingerprint,
                case.workload_fingerprint_parts,
                tuple(TrialSeries(trial.metrics, trial.conditions) for trial in case.trials),
            )
            for name, case in metadata.cases.items()
        },
        tags=own.tags,
        branch=own.commit_info.branch,
        cache_directories=of_metadata(metadata),
        is_of_reference=metadata.is_of_reference,
        notes=tuple(note for note in own.notes if note not in UNLIKE_OURS)
        if metadata.is_of_reference
        else (),
        has_fixed_trials=own.mode == CLOSED_MODE,
    )


def read_series(source: str, path: Path) -> RunSeries:
    """Read a run's metadata file; InvalidInputError names `source` if the file has no run.

    The trials of a run of the reference are read from the files of its ranks.
    """
    try:
        return series_from_metadata(read_metadata(path, with_trials=True))
    except NoRunError as error:
        raise InvalidInputError(
            source, str(path), "the *_metadata.json of a run", hint=error.reason
        ) from error
