"""Result of a side's session, read from the files of its run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from benchmarks.interference.windows import LEAST_SHARE, Window, common_s
from mlpstorage_bench.benchmark_type.records import CaseRecord, TrialRecord
from mlpstorage_bench.measure.conditions import TrialConditions
from mlpstorage_bench.measure.time_series import TimeSeries
from mlpstorage_bench.metric.values import Values, number_of
from mlpstorage_bench.results.convert import cases_of, read_document
from mlpstorage_bench.results.record import parse_record

Kind = Literal["read", "write"]
CASE = "side"
"""Name of the case of each side."""
DOCUMENT = "pytest_benchmark_*.json"


class _Opened(BaseModel):
    model_config = ConfigDict(frozen=True)

    opened_at: float
    window_s: float


class _Rank(BaseModel):
    model_config = ConfigDict(frozen=True)

    mlpstorage: _Opened


@dataclass(frozen=True)
class MeasuredTrial:
    """Window of a trial, its amounts by second, and what may have changed its figures."""

    window: Window
    series: TimeSeries | None = None
    conditions: TrialConditions | None = None


class Place(NamedTuple):
    """Place of a second in a run: a run with the same load has the same work there."""

    trial: int
    second: int
    """Its number since the opening of the trial's window."""


@dataclass(frozen=True)
class Second:
    """Reads or writes of a second of a window; the last one is shorter."""

    place: Place
    window: Window
    moved_bytes: int
    p95_ms: float | None
    """P95 of the entries that ended in it; None without one."""

    def lies_in(self, windows: Sequence[Window]) -> bool:
        """Return whether windows were open for most of it; checkpoints have short gaps."""
        return common_s([self.window], windows) >= LEAST_SHARE * self.window.length_s


@dataclass(frozen=True)
class SideResult:
    """Metrics of a side over all its trials, and the trials."""

    metrics: Values
    trials: tuple[MeasuredTrial, ...]

    @property
    def windows(self) -> list[Window]:
        """Windows of the trials."""
        return [one.window for one in self.trials]

    @property
    def conditions(self) -> list[TrialConditions]:
        """Conditions of the trials that have any."""
        return [one.conditions for one in self.trials if one.conditions is not None]

    def value(self, metric: str) -> float | None:
        """Return a metric; None if it was not measured."""
        return number_of(self.metrics.get(metric))

    def seconds(self, kind: Kind) -> list[Second]:
        """Return the seconds of the windows."""
        return [
            second
            for number, trial in enumerate(self.trials)
            for second in _seconds(number, trial, kind)
        ]

    def seconds_at(self, kind: Kind, places: Collection[Place]) -> list[Second]:
        """Return the seconds at some places, as far as the windows have them."""
        return [second for second in self.seconds(kind) if second.place in places]

    def places(self, kind: Kind, within: Sequence[Window] | None = None) -> frozenset[Place]:
        """Return the places of the seconds, or of those for most of which others were open."""
        seconds = self.seconds(kind)
        return frozenset(one.place for one in seconds if within is None or one.lies_in(within))


def _seconds(trial_number: int, trial: MeasuredTrial, kind: Kind) -> Iterator[Second]:
    if trial.series is None:
        return
    phase = trial.series.window
    of_kind = phase.kinds()[0 if kind == "read" else 1]
    slots = zip(phase.slot_lengths_s(), of_kind.moved_bytes, of_kind.p95_ms, strict=True)
    for number, (length_s, moved_bytes, p95_ms) in enumerate(slots):
        begin = trial.window.opens_at + number * phase.slot_s
        if length_s:
            place, window = Place(trial_number, number), Window(begin, begin + length_s)
            yield Second(place, window, moved_bytes, p95_ms)


def read_result(results_dir: Path) -> SideResult:
    """Return the result of the only run in a results directory."""
    (path,) = results_dir.rglob(DOCUMENT)
    document = read_document(path)
    cases = cases_of(document, parse_record(str(path), document.record))
    return result_of(next(case for case in cases if case.case == CASE))


def result_of(case: CaseRecord) -> SideResult:
    """Return the result in the record of a case."""
    trials = tuple(
        MeasuredTrial(_window(one), one.time_series, one.conditions) for one in case.trials
    )
    return SideResult(dict(case.metrics or {}), trials)


def _window(trial: TrialRecord) -> Window:
    ranks = [_Rank.model_validate(rank).mlpstorage for rank in trial.ranks]
    return Window(
        min(rank.opened_at for rank in ranks),
        max(rank.opened_at + rank.window_s for rank in ranks),
    )
