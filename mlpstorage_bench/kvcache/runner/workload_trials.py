"""Trials of a workload, and their form on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.samples import PooledHistograms
from mlpstorage_bench.kvcache.results.stored_trial import (
    KVStoredTrial,
    restored_trial,
    stored_trial,
)
from mlpstorage_bench.kvcache.results.trial_result import TrialResult
from mlpstorage_bench.kvcache.runner.engine import Engine, Outcome
from mlpstorage_bench.trial.case_trials import CaseTrials

WorkloadTrials = CaseTrials[TrialResult, PooledHistograms]


@dataclass(frozen=True)
class WorkloadRuns:
    """Runs of a workload on an engine."""

    engine: Engine
    workload: Workload
    seed: int
    trace_parts: Callable[[int], Mapping[str, str]]
    """Returns the parts of the name of a trial's trace."""

    @property
    def noun(self) -> str:
        """Word for the case in messages."""
        return "workload"

    @property
    def warmup_s(self) -> float:
        """Planned seconds before the window of each trial."""
        return self.workload.warmup

    @property
    def window_s(self) -> float:
        """Planned seconds of the window."""
        return self.workload.duration

    def run(self, number: int) -> Outcome:
        """Run a trial, from 1, on all ranks."""
        return self.engine.run_trial(self.workload, self.seed, number, self.trace_parts(number))

    def run_unrecorded(self, number: int) -> TrialResult:
        """Run a trial that leaves no trace of its own."""
        workload = self.workload.model_copy(update={"trace_out": None})
        return self.engine.run_trial(workload, self.seed, number, {}).result

    def stored(self, trial: KVStoredTrial) -> Json:
        """Return a finished trial as JSON."""
        return stored_trial(trial)

    def restored(self, content: Json) -> KVStoredTrial:
        """Return the trial that `stored` has stored; ValueError for other JSON."""
        return restored_trial(content)
