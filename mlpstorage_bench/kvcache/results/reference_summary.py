"""Run summary for the reference's readers: aggregation by rule 6.3.4.

Bandwidths and tokens are summed over ranks within a trial and averaged over trials; a P95 is the
maximum over ranks and trials of each rank's own P95, not a pooled percentile. A rank that moved
nothing from or to storage contributes nothing. (The reference tells this by the entries that a rank
has on storage at the end; here all of them may have been evicted or cut off by then.)
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from mlpstorage_bench.benchmark_type import CaseRecord, Json
from mlpstorage_bench.kvcache.results.recorded_case import RecordedCase
from mlpstorage_bench.kvcache.results.recorded_rank import RecordedRank

SCHEMA_VERSION = 1

PathOfRank = Callable[[str, int, int], str]
"""Function from case, trial and rank to the path of the rank's result in the run's directory."""


def summarise(
    cases: Sequence[CaseRecord],
    *,
    run_datetime: str,
    npernode: int,
    host_count: int,
    total_ranks: int,
    path_of_rank: PathOfRank,
    objections: Sequence[str] = (),
) -> Json:
    """Return the content of `kvcache_run_summary_<timestamp>.json`.

    `objections` are reasons for which no figure of the run can stand beside MLPerf's.
    """
    workloads = {
        case.case: _summarise_case(case, total_ranks, path_of_rank, objections) for case in cases
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "run_datetime": run_datetime,
        "npernode": npernode,
        "host_count": host_count,
        "total_ranks": total_ranks,
        "trials_per_option": max((case.planned_trials for case in cases), default=0),
        "partial_failure": any(one["partial_failure"] for one in workloads.values()),
        "options": workloads,
    }


def _summarise_case(
    case: CaseRecord, total_ranks: int, path_of_rank: PathOfRank, of_run: Sequence[str]
) -> Json:
    recorded = RecordedCase.of(case, total_ranks)
    on_storage = recorded.on_storage
    in_memory = [path_of_rank(case.case, rank.trial, rank.rank) for rank in recorded.in_memory]
    missing = [
        path_of_rank(case.case, trial, rank).rpartition("/")[0] for trial, rank in recorded.missing
    ]
    objections = [*of_run, *recorded.objections()]
    ranks = [rank for trial in on_storage for rank in trial]
    summaries = [rank.summary for rank in ranks]
    statistics_of = [summary.cache_stats for summary in summaries]
    return {
        "option": case.case,
        "aggregated_read_bandwidth_gbps": _sum_then_mean(
            on_storage, lambda rank: rank.summary.cache_stats.tier_storage_read_bandwidth_gbps
        ),
        "aggregated_write_bandwidth_gbps": _sum_then_mean(
            on_storage, lambda rank: rank.summary.cache_stats.tier_storage_write_bandwidth_gbps
        ),
        "aggregated_avg_throughput_tokens_per_sec": _sum_then_mean(
            on_storage, lambda rank: rank.summary.avg_throughput_tokens_per_sec
        ),
        "aggregated_storage_throughput_tokens_per_sec": _sum_then_mean(
            on_storage, lambda rank: rank.summary.storage_throughput_tokens_per_sec
        ),
        "aggregated_p95_latency_ms": _greatest(s.storage_io_latency_ms.p95 for s in summaries),
        "aggregated_storage_read_p95_ms": _greatest(s.storage_read_p95_ms for s in statistics_of),
        "aggregated_device_read_p95_ms": _greatest(
            s.storage_read_device_p95_ms for s in statistics_of
        ),
        "aggregated_device_write_p95_ms": _greatest(
            s.storage_write_device_p95_ms for s in statistics_of
        ),
        "device_p95_is": "the maximum over ranks and trials of each rank's P95; not pooled",
        "rank_count": total_ranks,
        "trial_count": len(recorded.trials),
        "partial_failure": bool(missing),
        "missing_files": missing,
        "cpu_tier_ranks": in_memory,
        "valid": not objections,
        "not_valid_because": objections,
    }


def _sum_then_mean(
    trials: Iterable[Iterable[RecordedRank]], value: Callable[[RecordedRank], float | None]
) -> float | None:
    """Return the mean over trials of the sums over ranks; a trial without a rate is left out."""
    of_trials = [[value(rank) for rank in trial] for trial in trials]
    sums = [
        sum(one for one in values if one is not None) for values in of_trials if None not in values
    ]
    if of_trials and not sums:
        return None
    return statistics.fmean(sums) if sums else 0.0


def _greatest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
