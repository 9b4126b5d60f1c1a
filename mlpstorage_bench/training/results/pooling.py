"""All ranks of a trial → one result; all trials of a training → one result."""

from __future__ import annotations

from collections.abc import Sequence

from mlpstorage_bench.errors import EmptyWindowError
from mlpstorage_bench.metric.declaration import case_values, pooled_values, trial_values
from mlpstorage_bench.metric.values import Values
from mlpstorage_bench.training.results.metrics.declared import metrics
from mlpstorage_bench.training.results.rank_training import RankTraining
from mlpstorage_bench.training.results.samples import TrainingSamples
from mlpstorage_bench.training.results.training_ranks import TrainingRanks
from mlpstorage_bench.training.results.trial_result import TrainingResult, TrainingTrial
from mlpstorage_bench.trial.base_trial import first_corruption, first_failure


def pool_trial(
    trial: int, ranks: Sequence[RankTraining], samples: TrainingSamples | None = None
) -> TrainingTrial:
    """Make one result of all ranks' records; EmptyWindowError if nothing was read.

    Where that is because a rank failed, its failure is raised instead. Of the records their totals
    are enough where the samples of all of them are given.
    """
    samples = TrainingSamples.of(ranks) if samples is None else samples
    failure = first_failure(ranks)
    if not any(rank.reported.read_bytes for rank in ranks):
        raise failure or EmptyWindowError("No sample was read, so there is nothing to report")
    return TrainingTrial(
        values=trial_values(metrics(), TrainingRanks(ranks, samples)),
        trial=trial,
        corruption=first_corruption(ranks),
        failure=failure,
    )


def pool_samples(samples: TrainingSamples) -> Values:
    """Return the metrics of a training that are derived from the samples of all its trials."""
    return pooled_values(metrics(), TrainingRanks((), samples))


def pool_case(
    case: str,
    trials: Sequence[TrainingTrial],
    pooled: Values,
    least_au: float,
    direct: str = "",
) -> TrainingResult:
    """Make one result of a training's trials and of their samples; without trials, all are None.

    `direct` has the settings with which its reads go around the page cache, if they can.
    """
    if not trials:
        return TrainingResult(case, (), dict.fromkeys(m.name for m in metrics()), least_au)
    values = case_values(metrics(), [trial.values for trial in trials], pooled)
    return TrainingResult(case, tuple(trials), values, least_au, direct=direct)
