"""Run summary for the reference's readers: aggregation by rule 6.3.4.

Bandwidths and tokens are summed over ranks within a trial and averaged over trials; a P95 is the
maximum over ranks and trials of each rank's own P95, not a pooled percentile. A rank that moved
nothing from or to storage contributes nothing. (The reference tells this by the entries that a rank
has on storage at the end; here all of them may have been evicted or cut off by then.)
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlpstorage_bench.benchmark_type import CaseRecord, Json
from mlpstorage_bench.kvcache.config import mlperf

SCHEMA_VERSION = 1

Rank = Mapping[str, Any]
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
) -> Json:
    """Return the content of `kvcache_run_summary_<timestamp>.json`."""
    workloads = {case.case: _summarise_case(case, total_ranks, path_of_rank) for case in cases}
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


def _summarise_case(case: CaseRecord, total_ranks: int, path_of_rank: PathOfRank) -> Json:
    trials: list[Sequence[Rank]] = [trial.ranks for trial in case.trials]
    on_storage = [[rank for rank in trial if _used_storage(rank)] for trial in trials]
    in_memory = [
        path_of_rank(case.case, rank["trial"], rank["rank"])
        for trial in trials
        for rank in trial
        if not _used_storage(rank)
    ]
    missing = [
        path_of_rank(case.case, trial, rank).rpartition("/")[0]
        for trial in range(1, case.planned_trials + 1)
        for rank in range(total_ranks)
        if trial > len(trials) or rank not in {result["rank"] for result in trials[trial - 1]}
    ]
    objections = list(_objections(case, on_storage, missing))
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
        "aggregated_p95_latency_ms": _greatest_of(
            rank["summary"]["storage_io_latency_ms"]["p95"]
            for trial in on_storage
            for rank in trial
        ),
        "aggregated_storage_read_p95_ms": _greatest(on_storage, "storage_read_p95_ms"),
        "aggregated_device_read_p95_ms": _greatest(on_storage, "storage_read_device_p95_ms"),
        "aggregated_device_write_p95_ms": _greatest(on_storage, "storage_write_device_p95_ms"),
        "device_p95_is": "the maximum over ranks and trials of each rank's P95; not pooled",
        "rank_count": total_ranks,
        "trial_count": len(trials),
        "partial_failure": bool(missing),
        "missing_files": missing,
        "cpu_tier_ranks": in_memory,
        "valid": not objections,
        "not_valid_because": objections,
    }


def _objections(
    case: CaseRecord, on_storage: Sequence[Sequence[Rank]], missing: Sequence[str]
) -> Iterator[str]:
    """Yield the reasons for which a case's figures cannot stand beside MLPerf's."""
    parts = case.workload_fingerprint_parts or {}
    seed = parts.get("seed")
    differing = mlperf.differences(
        case.case,
        case.parameters,
        trials=case.planned_trials,
        seed=seed if isinstance(seed, int) else None,
    )
    if differing:
        yield mlperf.DIFFERS.format(", ".join(differing))
    if missing:
        yield f"{len(missing)} results of ranks are missing"
    if not any(on_storage):
        yield "no rank moved anything from or to storage"


def _used_storage(rank: Rank) -> bool:
    """Return whether a rank moved anything from or to storage; a simulation did not."""
    stats = rank["summary"]["cache_stats"]
    moved = stats["tier_storage_kv_bytes_read_gb"] + stats["tier_storage_kv_bytes_written_gb"]
    return bool(moved > 0 and not rank["mlpstorage"].get("is_simulated", False))


def _value(rank: Rank, name: str) -> Any:
    summary = rank["summary"]
    return summary[name] if name in summary else summary["cache_stats"][name]


def _sum_then_mean(trials: Iterable[Iterable[Rank]], name: str) -> float:
    sums = [sum(_value(rank, name) for rank in trial) for trial in trials]
    return statistics.fmean(sums) if sums else 0.0


def _greatest(trials: Iterable[Iterable[Rank]], name: str) -> float | None:
    return _greatest_of(_value(rank, name) for trial in trials for rank in trial)


def _greatest_of(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
