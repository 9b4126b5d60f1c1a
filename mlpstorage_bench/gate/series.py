"""What a run measured, trial by trial, and what it has to have in common with another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.history.reading import NoRunError, read_metadata

_MOST_DIFFERENCES = 8
_ABSENT = "nothing"


@dataclass(frozen=True)
class CaseSeries:
    """One case of a run."""

    workload_fingerprint: str | None
    workload_parts: Mapping[str, Any]
    """What the fingerprint is a digest of."""
    trials: tuple[Mapping[str, float], ...]
    """Metrics of each trial, in the order in which they were taken."""

    def values(self, metric: str) -> list[float]:
        """Return a metric's value in each trial that has one."""
        return [float(trial[metric]) for trial in self.trials if metric in trial]


@dataclass(frozen=True)
class RunSeries:
    """A run as the gate sees it."""

    run_id: str
    started: str
    """ISO 8601."""
    benchmark_type: str
    system_fingerprint: str | None
    system_parts: Mapping[str, Any]
    cases: Mapping[str, CaseSeries]
    tags: tuple[str, ...] = ()
    branch: str | None = None
    """Of the tests' repository."""

    def differences(self, other: RunSeries, case: str) -> list[str]:
        """Return what keeps a case of this run from being compared with another run's."""
        own, theirs = self.cases[case], other.cases.get(case)
        if theirs is None:
            return [f"no case {case} there"]
        return [
            *_apart(
                "workload",
                (own.workload_fingerprint, own.workload_parts),
                (theirs.workload_fingerprint, theirs.workload_parts),
            ),
            *_apart(
                "system",
                (self.system_fingerprint, self.system_parts),
                (other.system_fingerprint, other.system_parts),
            ),
        ]


_Known = tuple[str | None, Mapping[str, Any]]
"""A fingerprint and its parts."""


def _apart(what: str, mine: _Known, its: _Known) -> list[str]:
    if mine[0] is not None and mine[0] == its[0]:
        return []
    return list(_differences(what, mine[1], its[1])) or [f"{what}: not known of both runs"]


def _differences(where: str, mine: object, its: object) -> Iterator[str]:
    if isinstance(mine, Mapping) and isinstance(its, Mapping):
        for key in sorted({*mine, *its}):
            yield from _differences(f"{where}.{key}", mine.get(key), its.get(key))
    elif isinstance(mine, list) and isinstance(its, list) and len(mine) == len(its):
        for number, (one, other) in enumerate(zip(mine, its, strict=True)):
            yield from _differences(f"{where}[{number}]", one, other)
    elif mine != its:
        yield f"{where}: {_shown(mine)} here, {_shown(its)} there"


def _shown(value: object) -> str:
    return _ABSENT if value is None else json.dumps(value, ensure_ascii=False)


def told(differences: list[str]) -> str:
    """Return differences as one line, the first of them when there are many."""
    more = len(differences) - _MOST_DIFFERENCES
    shown = "; ".join(differences[:_MOST_DIFFERENCES])
    return f"{shown}; and {more} more" if more > 0 else shown


def series_of(metadata: Mapping[str, Any]) -> RunSeries:
    """Return what a run's metadata tells; the reference's has no trials, and so no cases."""
    own = metadata.get("mlpstorage") or {}
    return RunSeries(
        run_id=str(own.get("run_id") or metadata["run_datetime"]),
        started=str(metadata["run_datetime"]),
        benchmark_type=str(metadata["benchmark_type"]),
        system_fingerprint=own.get("system_fingerprint"),
        system_parts=own.get("system_fingerprint_parts") or {},
        cases={
            str(name): CaseSeries(
                case.get("workload_fingerprint"),
                case.get("workload_fingerprint_parts") or {},
                tuple(trial["metrics"] for trial in case["trials"]),
            )
            for name, case in (own.get("cases") or {}).items()
        },
        tags=tuple(str(tag) for tag in own.get("tags") or ()),
        branch=(own.get("commit_info") or {}).get("branch"),
    )


def read_series(source: str, path: Path) -> RunSeries:
    """Read a run's metadata file; InvalidInputError, which names `source`, when it is none."""
    try:
        return series_of(read_metadata(path))
    except (NoRunError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError(
            source, str(path), "a run's *_metadata.json of this package", hint=str(error)
        ) from error
