"""Results of trials whose lanes write and read files: samples, trials, cases, and their JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter

from mlpstorage_bench.benchmark_type.records import Json, ObjectiveRecord, SequenceStep
from mlpstorage_bench.errors import EmptyWindowError
from mlpstorage_bench.measure.conditions import TrialConditions
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.operation_statistics import (
    STORAGE_TIER,
    Kind,
    OperationKey,
    OperationStatistics,
    merge_operations,
)
from mlpstorage_bench.measure.time_series import TimeSeries
from mlpstorage_bench.metric.declaration import (
    AnyMetric,
    Measured,
    case_values,
    pooled_values,
    trial_values,
)
from mlpstorage_bench.metric.rules import RankRules
from mlpstorage_bench.metric.values import as_json, number_of
from mlpstorage_bench.trial.base_trial import BaseTrial, first_corruption, first_failure
from mlpstorage_bench.trial.outcome import StoredTrial
from mlpstorage_bench.trial.rank_window import RankWindow
from mlpstorage_bench.trial.rank_windows import RankWindows
from mlpstorage_bench.trial.stored_operations import restored_operations, stored_operations
from mlpstorage_bench.trial.window_json import operations_json, series_json, window_json
from mlpstorage_bench.units import GIB

_SERIES: TypeAdapter[TimeSeries | None] = TypeAdapter(TimeSeries | None)


@dataclass
class LaneSamples:
    """Operations of any number of ranks and trials, of constant size."""

    operations: dict[OperationKey, OperationStatistics] = field(default_factory=dict)

    def merge(self, other: LaneSamples) -> LaneSamples:
        """Add the samples of another object, and return this one."""
        merge_operations(self.operations, other.operations)
        return self

    @classmethod
    def total(cls, parts: Iterable[LaneSamples]) -> LaneSamples:
        """Return the sum."""
        total = cls()
        for part in parts:
            total.merge(part)
        return total

    def span(self, kind: Kind, name: str = "device") -> Histogram:
        """Return a span of reads or writes, files of all sizes together."""
        total = Histogram()
        for key, one in self.operations.items():
            if (key.tier, key.kind) == (STORAGE_TIER, kind):
                total.merge(getattr(one, name))
        return total


@dataclass(frozen=True)
class LaneRanks(RankWindows[RankWindow]):
    """Records of all ranks of one trial, and their samples added up."""

    samples: LaneSamples = field(default_factory=LaneSamples)


LANE_RANKS = RankRules[RankWindow, LaneSamples, LaneRanks]()
"""Rules by which metrics derive from these records."""


@dataclass(frozen=True)
class LaneTrial(BaseTrial):
    """One trial over all ranks; `values` has every metric by name."""

    moved_bytes: int
    """Bytes that all ranks wrote and read in the window."""

    @classmethod
    def of(cls, trial: int, ranks: LaneRanks, metrics: Sequence[AnyMetric]) -> LaneTrial:
        """Make one result of all ranks' records; EmptyWindowError if nothing was moved.

        Where that is because a rank failed, its failure is raised instead.
        """
        failure = first_failure(ranks.ranks)
        if not ranks.traffic.total:
            raise failure or EmptyWindowError("Nothing was moved, so there is nothing to report")
        return cls(
            values=trial_values(metrics, ranks),
            trial=trial,
            moved_bytes=ranks.traffic.total,
            corruption=first_corruption(ranks.ranks),
            failure=failure,
        )

    @property
    def round_s(self) -> float:
        """Seconds of the window."""
        return self.window_s

    @property
    def conditions(self) -> TrialConditions:
        """Conditions that may have changed the metrics, besides the storage."""
        return self.conditions_at(self.moved_bytes / GIB / self.window_s)

    def wrong_data(self, trial: str) -> str:
        """Return that reads found other data than was written, with the first; '' if none did."""
        if not self.corruption:
            return ""
        return f"Reads of {trial} found other data than was written. The first: {self.corruption}"

    def failure_note(self, case: str) -> str:
        """Return a note on a failed trial, in a sentence."""
        return (
            f"case {case}: trial {self.trial} failed after {self.window_s:.2f} s, when "
            f"{self.moved_bytes / GIB:.2f} GiB were moved. It is in the metadata as failed_trial, "
            "and in no mean"
        )


@dataclass(frozen=True)
class LaneResult(Measured):
    """A case: its trials, and every metric of all of them in `values`."""

    case: str
    trials: tuple[LaneTrial, ...]
    objectives: tuple[ObjectiveRecord, ...] = ()

    @classmethod
    def of(
        cls,
        case: str,
        trials: Sequence[LaneTrial],
        samples: LaneSamples,
        metrics: Sequence[AnyMetric],
    ) -> LaneResult:
        """Make one result of a case's trials; `samples` are those of all of them."""
        pooled = pooled_values(metrics, LaneRanks((), samples))
        values = case_values(metrics, [trial.values for trial in trials], pooled)
        return cls(values, case, tuple(trials))

    def number(self, name: str) -> float:
        """Return a metric that is a number; KeyError if there is none."""
        value = number_of(self.values[name])
        if value is None:
            raise KeyError(name)
        return value

    def notes(self) -> list[str]:
        """Return notes on the metrics, in sentences: those on audits that are not ok."""
        return [
            f"case {self.case}: audit of trial {one.trial}: {one.audit_verdict}: {one.audit_reason}"
            for one in self.trials
            if one.audit_reason
        ]

    def metrics(self) -> dict[str, object]:
        """Return every metric by name, with the number of trials, for JSON."""
        return {"trials": len(self.trials), **as_json(self.values)}


def lane_rank_json(
    rank: RankWindow, trial: int, parameters: Json, steps: Sequence[SequenceStep]
) -> Json:
    """Return the result of one rank's trial; `steps` are those since the trial before."""
    own = window_json(rank, trial)
    return {
        "mlpstorage": {
            **own,
            "parameters": parameters,
            "sequence": [asdict(step) for step in steps],
            "histograms": {"operations": operations_json(rank)},
            "time_series": series_json(rank.series),
        }
    }


def stored_lane_trial(trial: StoredTrial[LaneTrial, LaneSamples]) -> Json:
    """Return a finished trial as JSON."""
    result, samples, series = trial.result, trial.samples, trial.series
    return {
        "trial": result.trial,
        "moved_bytes": result.moved_bytes,
        "corruption": result.corruption,
        "values": as_json(result.values),
        "operations": stored_operations(samples.operations),
        "time_series": None if series is None else asdict(series),
    }


def restored_lane_trial(content: Any) -> StoredTrial[LaneTrial, LaneSamples]:
    """Return the trial that `stored_lane_trial` has stored; ValueError for other JSON."""
    try:
        result = LaneTrial(
            values=dict(content["values"]),
            trial=int(content["trial"]),
            moved_bytes=int(content["moved_bytes"]),
            corruption=str(content["corruption"]),
        )
        samples = LaneSamples(restored_operations(content["operations"]))
        series = _SERIES.validate_python(content["time_series"])
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no stored trial: {error}") from error
    return StoredTrial(result, samples, series)
