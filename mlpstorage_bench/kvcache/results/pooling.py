"""All ranks of a trial → one result; all trials of a case → one result.

The metrics' declarations say how. Samples of all ranks are added up on their way to rank 0
(`PooledHistograms`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlpstorage_bench.benchmark_type.records import ObjectiveRecord
from mlpstorage_bench.errors import EmptyWindowError
from mlpstorage_bench.kvcache.config.request_counters import ClassCounters
from mlpstorage_bench.kvcache.config.slo import Objective
from mlpstorage_bench.kvcache.results.case_result import KVCacheResult
from mlpstorage_bench.kvcache.results.metrics.declared import metrics
from mlpstorage_bench.kvcache.results.objectives import judged
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.kvcache.results.samples import PooledHistograms
from mlpstorage_bench.kvcache.results.trial_ranks import TrialRanks
from mlpstorage_bench.kvcache.results.trial_result import TrialResult
from mlpstorage_bench.metric.declaration import case_values, pooled_values, trial_values
from mlpstorage_bench.metric.values import Values
from mlpstorage_bench.trial.base_trial import first_corruption, first_failure


@dataclass(frozen=True)
class PooledSamples:
    """Metrics that are derived from the samples of all trials of a case."""

    values: Values
    classes: Mapping[str, ClassCounters]
    """Requests by class of service."""
    objectives: tuple[ObjectiveRecord, ...] = ()


def pool_trial(
    trial: int, ranks: Sequence[RankTrial], samples: PooledHistograms | None = None
) -> TrialResult:
    """Make one result of all ranks' records; EmptyWindowError if nothing moved in the window.

    Where that is because a rank failed, its failure is raised instead. Of the records their totals
    are enough where the samples of all of them are given.
    """
    samples = PooledHistograms.of(ranks) if samples is None else samples
    failure = first_failure(ranks)
    if not any(operation.moved_bytes for rank in ranks for operation in rank.operations.values()):
        if failure is not None:
            raise failure
        raise _empty_window(ranks)
    return TrialResult(
        values=trial_values(metrics(), TrialRanks(ranks, samples)),
        trial=trial,
        classes=samples.requests.classes,
        corruption=first_corruption(ranks),
        failure=failure,
    )


def _empty_window(ranks: Sequence[RankTrial]) -> EmptyWindowError:
    window_s, closed_by = max(rank.window_s for rank in ranks), ranks[0].closed_by
    if any(rank.requests.requests for rank in ranks):
        advice = "Its requests moved nothing. With keyed_by prefix, lower tokens_per_block"
    else:
        advice = _advice(closed_by)
    return EmptyWindowError(
        f"Nothing was read or written within the window of {window_s:.1f} s (closed by the "
        f"{closed_by}), so there is nothing to report. {advice}"
    )


def _advice(closed_by: str) -> str:
    return {
        "number of requests": "All requests were answered before it opened: lower warmup, or raise "
        "requests",
        "write limit": "Raise write_limit_gb, or lower warmup",
    }.get(closed_by, "Raise duration, or lower think_time_scale")


def pool_samples(samples: PooledHistograms, objectives: Sequence[Objective] = ()) -> PooledSamples:
    """Return the metrics of a case that are derived from the samples of all its trials."""
    return PooledSamples(
        pooled_values(metrics(), TrialRanks((), samples)),
        samples.requests.classes,
        judged(objectives, samples),
    )


def pool_case(workload: str, trials: Sequence[TrialResult], pooled: PooledSamples) -> KVCacheResult:
    """Make one result of a case's trials and of their samples."""
    values = case_values(metrics(), [trial.values for trial in trials], pooled.values)
    return KVCacheResult(workload, tuple(trials), values, pooled.classes, pooled.objectives)
