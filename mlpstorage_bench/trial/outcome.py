"""Outcomes of trials of any benchmark type, and their form on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.measure.conditions import TrialConditions
from mlpstorage_bench.measure.time_series import TimeSeries


class PooledTrial(Protocol):
    """The result of one trial over all ranks, on every rank."""

    @property
    def round_s(self) -> float:
        """Seconds of the trial's round in pytest-benchmark."""
        ...

    @property
    def failure(self) -> MlpsError | None:
        """Failure that ended the trial early; None without one."""
        ...

    @property
    def conditions(self) -> TrialConditions:
        """Conditions that may have changed the metrics, besides the storage."""
        ...

    def wrong_data(self, trial: str) -> str:
        """Return how many reads found other data than was written, and the first of them.

        '' if none did. `trial` is the trial in words.
        """
        ...

    def metrics(self) -> dict[str, object]:
        """Return every metric by name, for JSON."""
        ...

    def failure_note(self, case: str) -> str:
        """Return a note on a failed trial, in a sentence."""
        ...


Result = TypeVar("Result", bound=PooledTrial)
Samples = TypeVar("Samples")


@dataclass(frozen=True)
class TrialOutcome(Generic[Result, Samples]):
    """The results of one trial of all ranks."""

    result: Result
    """Pooled result, on every rank."""
    samples: Samples | None
    """Pooled samples; None on ranks other than 0."""
    ranks: Sequence[Json] | None
    """Each rank's result in full, in rank order; None on ranks other than 0."""
    series: TimeSeries | None = None
    """The trial by second; None on ranks other than 0, and of a simulation."""


@dataclass(frozen=True)
class StoredTrial(Generic[Result, Samples]):
    """The results of a trial that did not fail, on rank 0."""

    result: Result
    samples: Samples
    """Those of all its ranks."""
    series: TimeSeries | None
    """None of a simulation."""


class CaseWork(Protocol[Result, Samples]):
    """Trials of a case, and their form on disk."""

    @property
    def noun(self) -> str:
        """Word for the case in messages, such as `workload`."""
        ...

    @property
    def warmup_s(self) -> float:
        """Planned seconds before the window of each trial."""
        ...

    @property
    def window_s(self) -> float:
        """Planned seconds of the window."""
        ...

    def run(self, number: int) -> TrialOutcome[Result, Samples]:
        """Run a trial, from 1, on all ranks."""
        ...

    def run_unrecorded(self, number: int) -> Result:
        """Run a trial that leaves no files of its own."""
        ...

    def stored(self, trial: StoredTrial[Result, Samples]) -> Json:
        """Return a finished trial as JSON."""
        ...

    def restored(self, content: Json) -> StoredTrial[Result, Samples]:
        """Return the trial that `stored` has stored; ValueError for other JSON."""
        ...
