"""Run summary for the reference's readers: `summary.json`, aggregated by rule 6.3.4.

Bandwidths and tokens are summed over ranks within a trial and averaged over trials; a P95 is the
maximum over ranks and trials of each rank's own P95, not a pooled percentile. `cpu_tier_ranks` are
the results without an entry on storage at the end, as the reference tells them. Ours stand under
`mlpstorage`: all cases, with their pooled metrics, and whether they may stand beside MLPerf's.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mlpstorage_bench.benchmark_type.records import CaseRecord, Json
from mlpstorage_bench.kvcache.results.recorded_case import (
    RecordedCase,
    directory_of_rank,
    options_of,
    path_of_rank,
)
from mlpstorage_bench.kvcache.results.recorded_rank import RecordedRank

SCHEMA_VERSION = "1.0"
"""The reference's: a string."""
_MEANING = {
    "bytes": "those moved within the window; the reference also counts what requests that are in "
    "progress at its end move until they have ended",
    "p95": "the greatest of the ranks' own P95; mlpstorage.cases.<case>.metrics has percentiles of "
    "all ranks' samples together",
    "cpu_tier_ranks": "ranks without an entry on storage at the end; mlpstorage.cases.<case>.valid "
    "asks whether any rank moved bytes from or to storage",
    "trial_count": "trials that were planned, or more if more ran; those that did not end are in "
    "missing_files",
}


def summarise(
    cases: Sequence[CaseRecord],
    *,
    directory: Path,
    npernode: int,
    host_count: int,
    total_ranks: int,
    objections: Sequence[str] = (),
) -> Json:
    """Return the content of `summary.json`; the name of the run's directory is its time.

    `objections` are reasons for which no figure of the run can stand beside MLPerf's.
    """
    recorded = [RecordedCase.of(case, total_ranks) for case in cases]
    options = options_of(cases)
    aggregated = {one.case.case: _aggregate(one, directory) for one in recorded}
    return {
        "schema_version": SCHEMA_VERSION,
        "run_datetime": directory.name,
        "npernode": npernode,
        "host_count": host_count,
        "total_ranks": total_ranks,
        "trials_per_option": max((case.planned_trials for case in options), default=0),
        "options": {
            str(case.option): {"option": case.option, **aggregated[case.case]} for case in options
        },
        "partial_failure": any(aggregated[case.case]["partial_failure"] for case in options),
        "trial_failures": {
            str(case.option): failures for case in options if (failures := _failures(case))
        },
        "mlpstorage": {
            "meaning": _MEANING,
            "cases": {
                one.case.case: {
                    "option": one.case.option,
                    **({} if one.case.option else aggregated[one.case.case]),
                    "trial_failures": _failures(one.case),
                    **_judgement([*objections, *one.objections()]),
                    "metrics": one.case.metrics,
                }
                for one in recorded
            },
        },
    }


def _failures(case: CaseRecord) -> list[Json]:
    """Return the trial that failed, numbered from 0; a trial has no log of its own."""
    failed = case.failed_trial
    if failed is None:
        return []
    return [{"trial": failed.trial - 1, "exit_code": 1, "stderr_log": None}]


def _judgement(objections: Sequence[str]) -> Json:
    return {"valid": not objections, "not_valid_because": objections}


def _aggregate(recorded: RecordedCase, directory: Path) -> Json:
    """Return a case's aggregates; all are None for a simulation."""
    trials = [] if recorded.is_simulated else recorded.trials
    ranks = [rank for trial in trials for rank in trial]
    summaries = [rank.summary for rank in ranks]
    statistics_of = [summary.cache_stats for summary in summaries]
    missing = [
        str(directory / directory_of_rank(recorded.case, trial, rank))
        for trial, rank in recorded.missing
    ]
    return {
        "aggregated_read_bandwidth_gbps": _sum_then_mean(
            trials, lambda rank: rank.summary.cache_stats.tier_storage_read_bandwidth_gbps
        ),
        "aggregated_write_bandwidth_gbps": _sum_then_mean(
            trials, lambda rank: rank.summary.cache_stats.tier_storage_write_bandwidth_gbps
        ),
        "aggregated_avg_throughput_tokens_per_sec": _sum_then_mean(
            trials, lambda rank: rank.summary.avg_throughput_tokens_per_sec
        ),
        "aggregated_storage_throughput_tokens_per_sec": _sum_then_mean(
            trials, lambda rank: rank.summary.storage_throughput_tokens_per_sec
        ),
        "aggregated_p95_latency_ms": _greatest(s.storage_io_latency_ms.p95 for s in summaries),
        "aggregated_storage_read_p95_ms": _greatest(s.storage_read_p95_ms for s in statistics_of),
        "aggregated_device_read_p95_ms": _greatest(
            s.storage_read_device_p95_ms for s in statistics_of
        ),
        "aggregated_device_write_p95_ms": _greatest(
            s.storage_write_device_p95_ms for s in statistics_of
        ),
        "rank_count": recorded.total_ranks,
        "trial_count": recorded.trial_count,
        "partial_failure": bool(missing),
        "missing_files": missing,
        "cpu_tier_ranks": [
            str(directory / path_of_rank(recorded.case, rank, directory.name))
            for rank in ranks
            if rank.summary.cache_stats.storage_entries == 0
        ],
    }


def _sum_then_mean(
    trials: Iterable[Sequence[RecordedRank]], value: Callable[[RecordedRank], float | None]
) -> float | None:
    """Return the mean over trials of the sums over ranks; a trial without results is left out."""
    sums = [sum(value(rank) or 0.0 for rank in trial) for trial in trials if trial]
    return statistics.fmean(sums) if sums else None


def _greatest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
