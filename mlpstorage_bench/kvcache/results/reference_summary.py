"""Run summary for the reference's readers: aggregation by rule 6.3.4.

Bandwidths and tokens are summed over ranks within a trial and averaged over trials; the device P95
is the maximum over ranks and trials of each rank's own P95, not a pooled percentile. A rank
whose entries never reached storage contributes nothing; a workload whose ranks all did so is not
valid.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlpstorage_bench.benchmark_type import CaseRecord, Json

SCHEMA_VERSION = 1

Rank = Mapping[str, Any]


def summarise(
    cases: Sequence[CaseRecord],
    *,
    run_datetime: str,
    npernode: int,
    host_count: int,
    total_ranks: int,
) -> Json:
    """Return the content of `kvcache_run_summary_<timestamp>.json`."""
    workloads = {case.case: _summarise_case(case, total_ranks) for case in cases}
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


def _summarise_case(case: CaseRecord, total_ranks: int) -> Json:
    trials: list[Sequence[Rank]] = [trial.ranks for trial in case.trials]
    on_storage = [[rank for rank in trial if _is_on_storage(rank)] for trial in trials]
    memory_only = {rank["rank"] for trial in trials for rank in trial if not _is_on_storage(rank)}
    missing = [
        f"option_{case.case}/trial_{trial}/rank_{rank}"
        for trial in range(1, case.planned_trials + 1)
        for rank in range(total_ranks)
        if trial > len(trials) or rank not in {result["rank"] for result in trials[trial - 1]}
    ]
    storage = "tier_storage_{}_bandwidth_gbps"
    return {
        "option": case.case,
        "aggregated_read_bandwidth_gbps": _sum_then_mean(on_storage, storage.format("read")),
        "aggregated_write_bandwidth_gbps": _sum_then_mean(on_storage, storage.format("write")),
        "aggregated_avg_throughput_tokens_per_sec": _sum_then_mean(
            on_storage, "avg_throughput_tokens_per_sec"
        ),
        "aggregated_storage_throughput_tokens_per_sec": _sum_then_mean(
            on_storage, "storage_throughput_tokens_per_sec"
        ),
        "aggregated_device_read_p95_ms": _greatest(on_storage, "storage_read_device_p95_ms"),
        "aggregated_device_write_p95_ms": _greatest(on_storage, "storage_write_device_p95_ms"),
        "device_p95_is": "the maximum over ranks and trials of each rank's P95; not pooled",
        "rank_count": max((len(trial) for trial in trials), default=0),
        "trial_count": len(trials),
        "partial_failure": bool(missing),
        "missing_files": missing,
        "cpu_tier_ranks": sorted(memory_only),
        "valid": any(on_storage),
    }


def _is_on_storage(rank: Rank) -> bool:
    return bool(rank["summary"]["cache_stats"]["storage_entries"] > 0)


def _value(rank: Rank, name: str) -> Any:
    summary = rank["summary"]
    return summary[name] if name in summary else summary["cache_stats"][name]


def _sum_then_mean(trials: Iterable[Iterable[Rank]], name: str) -> float:
    sums = [sum(_value(rank, name) for rank in trial) for trial in trials]
    return statistics.fmean(sums) if sums else 0.0


def _greatest(trials: Iterable[Iterable[Rank]], name: str) -> float | None:
    values = [_value(rank, name) for trial in trials for rank in trial]
    return max((value for value in values if value is not None), default=None)
