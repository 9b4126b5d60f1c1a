"""Trials of a case: one checkpoint each, and how a run keeps them."""

from __future__ import annotations

from dataclasses import dataclass

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.checkpointing.config.parameters import Kind, Parameters
from mlpstorage_bench.checkpointing.results.rank_checkpoint import CheckpointSamples
from mlpstorage_bench.checkpointing.results.stored_trial import (
    StoredCheckpoint,
    restored_trial,
    stored_trial,
)
from mlpstorage_bench.checkpointing.results.trial_result import CheckpointTrial
from mlpstorage_bench.checkpointing.runner.engine import Engine, Outcome
from mlpstorage_bench.trial.case_trials import CaseTrials

CheckpointTrials = CaseTrials[CheckpointTrial, CheckpointSamples]


@dataclass(frozen=True)
class CheckpointRuns:
    """Writes or reads of checkpoints on an engine."""

    engine: Engine
    parameters: Parameters
    kind: Kind
    planned: int
    """Number of trials of the case, without those that the gate may add."""

    @property
    def noun(self) -> str:
        """Name of the case in messages, with its own name after it."""
        return "checkpoints to"

    @property
    def warmup_s(self) -> float:
        """Planned seconds before the window of each checkpoint: none."""
        return 0.0

    @property
    def window_s(self) -> float:
        """Planned seconds of a checkpoint: they are not known."""
        return 0.0

    def run(self, number: int) -> Outcome:
        """Write or read a checkpoint, from 1, on all ranks."""
        is_last = number >= self.planned
        return self.engine.run_trial(self.parameters, self.kind, number, is_last=is_last)

    def run_unrecorded(self, number: int) -> CheckpointTrial:
        """Write or read a checkpoint whose figures are not kept."""
        return self.run(number).result

    def stored(self, trial: StoredCheckpoint) -> Json:
        """Return a finished checkpoint as JSON."""
        return stored_trial(trial)

    def restored(self, content: Json) -> StoredCheckpoint:
        """Return the checkpoint that `stored` has stored; ValueError for other JSON."""
        return restored_trial(content)
