"""Result of a rank as a run's files and reports read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, ValidationError

from mlpstorage_bench.benchmark_type.records import CaseRecord, Json
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.measure.time_series import TimeSeries
from mlpstorage_bench.results.record import problems_of
from mlpstorage_bench.training.results.rank_training import EpochTimes
from mlpstorage_bench.training.workload.minimum import EpochFigures
from mlpstorage_bench.trial.recorded_samples import (
    Count,
    Part,
    RecordedLaneTime,
    RecordedOperation,
    Seconds,
)

WARM_UP = "-warm-up"
"""End of the name of the case that only warms up."""
_Moment = Annotated[int, Field(gt=-(1 << 62), lt=1 << 62)]


class RecordedEpoch(Part):
    """An epoch in the form of `EpochTimes`."""

    epoch: Annotated[int, Field(ge=1)]
    steps: Count
    began_at: Annotated[float, Field(ge=0, lt=1e11, allow_inf_nan=False)]
    began_ns: _Moment
    first_step_ended_ns: _Moment
    ended_ns: _Moment
    data_wait_ns: Count
    first_wait_ns: Count
    late_ns: Count

    def times(self) -> EpochTimes:
        """Return the epoch."""
        return EpochTimes(**self.model_dump())


class _Histograms(Part):
    operations: tuple[RecordedOperation, ...]


class _Additions(Part):
    rank: Annotated[int, Field(ge=0)]
    host: str
    trial: Annotated[int, Field(ge=1)]
    started: Annotated[str, Field(pattern=r"^\d{8}_\d{6}$")]
    window_s: Seconds
    io_mode: str
    epochs: tuple[RecordedEpoch, ...]
    batch_size: Annotated[int, Field(ge=1, lt=1 << 62)]
    computation_s: Seconds
    record_bytes: Annotated[int, Field(ge=1, lt=1 << 62)]
    lane_time: RecordedLaneTime | None = None
    histograms: _Histograms
    time_series: TimeSeries | None = None


class RecordedRank(Part):
    """The result of one rank in one trial."""

    mlpstorage: _Additions

    @property
    def figures(self) -> list[EpochFigures]:
        """Figures of the accelerator's epochs."""
        own = self.mlpstorage
        return [
            one.times().figures(own.batch_size, own.computation_s)
            for one in own.epochs
            if one.steps
        ]


def recorded_rank(source: str, content: Json) -> RecordedRank:
    """Return the result of a rank in its JSON; InvalidInputError, which names `source`, if none."""
    try:
        return RecordedRank.model_validate(content)
    except ValidationError as error:
        raise InvalidInputError(
            source, sorted(content), "the result of a rank", hint=problems_of(error)
        ) from error


def is_warm_up(case: CaseRecord) -> bool:
    """Return whether a case only warms up for another one."""
    return case.case.endswith(WARM_UP)


def recorded_trials(case: CaseRecord) -> list[list[RecordedRank]]:
    """Return the results of the ranks of each trial; InvalidInputError if one is unusable."""
    return [
        [recorded_rank(f"trial {trial.trial} of case {case.case}", rank) for rank in trial.ranks]
        for trial in case.trials
    ]


def last_trial(cases: Sequence[CaseRecord]) -> list[RecordedRank]:
    """Return the results of the ranks of the first training's last trial; none without one."""
    first = next((case for case in cases if case.trials), None)
    return [] if first is None else recorded_trials(first)[-1]
