"""Trials of a training, and their form on disk."""

from __future__ import annotations

from dataclasses import dataclass

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.results.samples import TrainingSamples
from mlpstorage_bench.training.results.stored_trial import (
    StoredTraining,
    restored_trial,
    stored_trial,
)
from mlpstorage_bench.training.results.trial_result import TrainingTrial
from mlpstorage_bench.training.runner.engine import Outcome, TrainingEngine
from mlpstorage_bench.trial.case_trials import CaseTrials

TrainingTrials = CaseTrials[TrainingTrial, TrainingSamples]


@dataclass(frozen=True)
class TrainingRuns:
    """Runs of a resolved training on an engine."""

    engine: TrainingEngine
    workload: TrainingWorkload
    steps: int
    """Steps of an epoch."""

    @property
    def noun(self) -> str:
        """Word for the case in messages."""
        return "training"

    @property
    def warmup_s(self) -> float:
        """Planned seconds before the window: there are none."""
        return 0.0

    @property
    def window_s(self) -> float:
        """Planned seconds of the window, if no accelerator waits."""
        return self.workload.epoch_count * self.steps * self.workload.computation_s

    def run(self, number: int) -> Outcome:
        """Run a trial, from 1, on all ranks."""
        return self.engine.run_trial(self.workload, number)

    def run_unrecorded(self, number: int) -> TrainingTrial:
        """Run a trial whose figures are not kept."""
        return self.engine.run_trial(self.workload, number).result

    def stored(self, trial: StoredTraining) -> Json:
        """Return a finished trial as JSON."""
        return stored_trial(trial)

    def restored(self, content: Json) -> StoredTraining:
        """Return the trial that `stored` has stored; ValueError for other JSON."""
        return restored_trial(content)
