"""All ranks of a checkpoint → one result; all checkpoints of a case → one result."""

from __future__ import annotations

from collections.abc import Sequence

from mlpstorage_bench.checkpointing.config.parameters import Kind
from mlpstorage_bench.checkpointing.results.checkpoint_ranks import CheckpointRanks
from mlpstorage_bench.checkpointing.results.metrics.declared import metrics
from mlpstorage_bench.checkpointing.results.rank_checkpoint import (
    CheckpointSamples,
    RankCheckpoint,
)
from mlpstorage_bench.checkpointing.results.trial_result import CheckpointingResult, CheckpointTrial
from mlpstorage_bench.metric.declaration import case_values, pooled_values, trial_values
from mlpstorage_bench.metric.values import Values
from mlpstorage_bench.trial.base_trial import first_corruption, first_failure


def pool_checkpoint(
    ranks: Sequence[RankCheckpoint], samples: CheckpointSamples | None = None
) -> CheckpointTrial:
    """Make one result of all ranks' records.

    Of the records their totals are enough where the samples of all of them are given.
    """
    samples = CheckpointSamples.of(ranks) if samples is None else samples
    return CheckpointTrial(
        values=trial_values(metrics(), CheckpointRanks(ranks, samples)),
        trial=ranks[0].checkpoint,
        kind=ranks[0].kind,
        corruption=first_corruption(ranks),
        failure=first_failure(ranks),
    )


def pool_samples(samples: CheckpointSamples) -> Values:
    """Return the metrics of a case that are derived from the samples of all its checkpoints."""
    return pooled_values(metrics(), CheckpointRanks((), samples))


def pool_case(
    case: str, kind: Kind, trials: Sequence[CheckpointTrial], pooled: Values
) -> CheckpointingResult:
    """Make one result of a case's checkpoints and of their samples."""
    values = case_values(metrics(), [trial.values for trial in trials], pooled)
    return CheckpointingResult(case, kind, tuple(trials), values)
