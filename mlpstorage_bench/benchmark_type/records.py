"""Records of a run's cases and trials, whatever their benchmark type."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from mlpstorage_bench.measure.conditions import TrialConditions
from mlpstorage_bench.measure.time_series import TimeSeries

Json = Mapping[str, object]
"""A JSON object, for a file or from one: parameters, metrics and results of a rank, for example.

Keys differ by benchmark type, and files of earlier versions have fewer: only the module that writes
a part of a file reads that part.
"""


@dataclass(frozen=True)
class Pauses:
    """Seconds in which nothing is written or read, between trials and between cases."""

    before_trial_s: float = 0.0
    after_trial_s: float = 0.0
    between_cases_s: float = 0.0
    """Besides the pauses of the trials before and after."""


NO_PAUSES = Pauses()


Step = Literal[
    "pause_between_options",
    "pause_before_trial",
    "cache_emptied",
    "caches_dropped",
    "trial",
    "pause_after_trial",
]


@dataclass(frozen=True)
class SequenceStep:
    """A step that all ranks took together, as one rank saw it."""

    step: Step
    trial: int | None
    """The trial that it belongs to, from 1; None between cases."""
    began_at: float
    """Seconds since the epoch."""
    seconds: float
    removed_bytes: int = 0
    """Bytes of entries that were removed from storage, by `cache_emptied`."""
    overlapped_s: float = 0.0
    """Seconds of a pause that had passed when it began, as it began during the trial before."""


@dataclass(frozen=True)
class TrialRecord:
    """The results of one trial of a case."""

    trial: int
    """Its number, from 1."""
    metrics: Json
    ranks: Sequence[Json]
    """Each rank's result in full; empty on ranks other than 0."""
    conditions: TrialConditions | None = None
    """Conditions that may have changed the results; None in old results."""
    time_series: TimeSeries | None = None
    """The trial by second, all ranks together; None without one, and on ranks other than 0."""

    def to_json(self) -> Json:
        """Return the record for JSON; results are not copied."""
        conditions = None if self.conditions is None else asdict(self.conditions)
        series = None if self.time_series is None else asdict(self.time_series)
        return {**vars(self), "conditions": conditions, "time_series": series}


_MOST_DIGITS = 4
"""Digits of the highest percentile of an objective, p9999."""


@dataclass(frozen=True)
class ObjectiveRecord:
    """A limit for a percentile of a latency, and what was measured over all trials of a case."""

    objective: str
    """Name of the objective, such as `read_block`."""
    percentile: str
    """Its percentile, such as `p95_ms`."""
    limit_ms: float
    seen_ms: float | None
    """None without samples."""
    samples: int
    of: str
    """Name of the samples, in the plural, such as `blocks`."""

    @property
    def is_met(self) -> bool:
        """Whether the limit was kept; not so without samples."""
        return self.seen_ms is not None and self.seen_ms <= self.limit_ms

    @property
    def counted(self) -> str:
        """The samples in words, and how many the percentile needs if there are fewer.

        Of fewer, the greatest one stands for the percentile.
        """
        digits = self.percentile.removeprefix("p").removesuffix("_ms")
        is_known = digits.isdecimal() and len(digits) <= _MOST_DIGITS
        whole = 10 ** len(digits)
        least = math.ceil(whole / (whole - int(digits))) if is_known else 0
        few = f", fewer than the {least} of p{digits}" if 0 < self.samples < least else ""
        return f"{self.samples} {self.of}{few}"

    def __str__(self) -> str:
        if self.seen_ms is None:
            return f"{self.objective}: no {self.of} ended, so {self.percentile} is unknown"
        return (
            f"{self.objective}: {self.percentile} is {self.seen_ms:.3g}; accepted: at most "
            f"{self.limit_ms:.10g} ({self.counted})"
        )


@dataclass(frozen=True, kw_only=True)
class FailedTrialRecord(TrialRecord):
    """A trial that ended early, with the results until then; comparisons exclude it."""

    failure: str


@dataclass(frozen=True)
class CaseRecord:
    """One case of a run: its parameters, and its results so far.

    The benchmark type creates it; the run sets the fields from `order` on when the case starts.
    """

    benchmark_type: str
    case: str
    """Name of the case in the results, unique in the run."""
    planned_trials: int
    parameters: Json
    trials: tuple[TrialRecord, ...] = ()
    failed_trial: FailedTrialRecord | None = None
    steps: tuple[SequenceStep, ...] = ()
    """Steps in their order on this rank; empty in records of earlier versions."""
    metrics: Json | None = None
    """Over all trials; None before the last one has ended."""
    objectives: tuple[ObjectiveRecord, ...] = ()
    """Objectives, met or not; empty in records of earlier versions."""
    notes: tuple[str, ...] = ()
    """Notes for the reader of the results, in sentences."""
    facts: Json = field(default_factory=dict)
    """Facts of the type on what was really used, for the metadata; none in old records."""
    option: int | None = None
    """Number under which the reference knows the case; None for a case that it does not have."""
    order: int = 0
    """Its position among the run's cases."""
    test: str = ""
    """Node ID of the test that runs it."""
    workload_fingerprint: str | None = None
    """Digest of the parts; None on ranks other than 0."""
    workload_fingerprint_parts: Json | None = None
    """Everything that must be equal for two results to be comparable."""

    def to_json(self) -> Json:
        """Return the record for JSON; results are not copied."""
        failed = self.failed_trial
        return {
            **{name: one for name, one in vars(self).items() if name != "facts" or one},
            "trials": [trial.to_json() for trial in self.trials],
            "failed_trial": None if failed is None else failed.to_json(),
            "steps": [asdict(step) for step in self.steps],
            "objectives": [asdict(one) for one in self.objectives],
            "notes": list(self.notes),
        }


@dataclass
class OpenCase:
    """A case that has started; the benchmark type replaces its record after each result."""

    record: CaseRecord
