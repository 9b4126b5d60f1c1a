"""Result of one rank's trial in the reference's format, with additions under `mlpstorage`.

Keys, their order and definitions are the reference's. Where ours differ, `mlpstorage.meaning` says
how; our own figures, with histograms of all samples, are under `mlpstorage`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from mlpstorage_bench.benchmark_type.records import SequenceStep
from mlpstorage_bench.kvcache.config.request_counters import ClassCounters, RequestCounters
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.kvcache.results.reference_cache_stats import PERCENTILES, cache_stats
from mlpstorage_bench.kvcache.workload.users import QOS_CLASSES
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.operation_statistics import KINDS, STORAGE_TIER
from mlpstorage_bench.trial.window_json import operations_json, series_json, window_json
from mlpstorage_bench.units import NS_PER_MS, NS_PER_S

_MEANING = {
    "bytes, counts and latencies": "those that ended within the window; the reference also counts "
    "what requests that are in progress at its end move until they have ended",
    "lists of latencies": "empty: mlpstorage.histograms has all samples",
    "read_iops, write_iops": "numbers of operations, not per second: all reads of entries that "
    "were found, and all entries that requests wrote",
    "decode_reads": "all reads of entries that were found; mlpstorage.answer_reads has those of "
    "decoding",
    "total_read_bytes, total_write_bytes": "bytes that requests moved from and to all tiers; the "
    "tiers' own bytes include copies between tiers",
    "storage_tokens_processed": "tokens in the bytes that were read from and written to storage",
    "storage_io_latency_ms, total_storage_io_time": "of each request the time of all its accesses "
    "to the cache, in any tier",
    "prefix_cache_stats": "lookups of system prompts",
    "storage_health": "no part of the benchmark",
}
_OF_A_CLASS = ("mean", "p50", "p95", "p99")


def rank_result(
    workload: Workload, trial: int, rank: RankTrial, steps: Sequence[SequenceStep] = ()
) -> dict[str, object]:
    """Return the content of `kvcache_results_<timestamp>.json` for this rank and trial.

    `steps` are those that the rank has taken since the trial before.
    """
    requests = rank.requests
    turns = requests.found["conversation"], requests.missed["conversation"]
    return {
        "requests_completed": requests.requests,
        "total_tokens_generated": requests.generated_tokens,
        "total_storage_io_latency": requests.cache_io.sum_ns / NS_PER_S,
        "total_generation_latency": requests.generation.sum_ns / NS_PER_S,
        "end_to_end_latencies": [],
        "storage_latencies": [],
        "generation_latencies": [],
        "throughput_timeline": [],
        "prefill_latencies": [],
        "decode_latencies": [],
        "multi_turn_cache_hits": turns[0],
        "multi_turn_cache_misses": turns[1],
        "seed": rank.seed,
        "summary": _summary(workload, rank),
        "mlpstorage": {
            **_additions(workload, trial, rank),
            "sequence": [asdict(step) for step in steps],
        },
    }


def _summary(workload: Workload, rank: RankTrial) -> dict[str, object]:
    requests = rank.requests
    storage_io_s = requests.cache_io.sum_ns / NS_PER_S
    found, missed = requests.found, requests.missed
    turns = found["conversation"], missed["conversation"]
    return {
        "total_requests": requests.requests,
        "total_tokens": requests.generated_tokens,
        "elapsed_time": rank.window_s,
        "avg_throughput_tokens_per_sec": rank.per_s(requests.generated_tokens),
        "total_storage_io_time": storage_io_s,
        "storage_throughput_tokens_per_sec": (
            requests.generated_tokens / storage_io_s if storage_io_s else 0.0
        ),
        "requests_per_second": rank.per_s(requests.requests),
        "end_to_end_latency_ms": _distribution(requests.latency),
        "storage_io_latency_ms": _distribution(requests.cache_io),
        "generation_latency_ms": _distribution(requests.generation),
        "cache_stats": cache_stats(workload, rank),
        "qos_metrics": {
            qos.name: _qos(requests.classes.get(qos.name), qos.targets_ms["p95_ms"])
            for qos in QOS_CLASSES
        },
        "prefix_cache_stats": {
            "prefix_hits": found["system prompt"],
            "prefix_misses": missed["system prompt"],
            "system_prompt_reuse": found["system prompt"],
            "common_phrase_reuse": 0,
            "bytes_saved": requests.found_bytes["system prompt"],
        },
        "autoscaling_stats": [],
        "autoscaling_summary": None,
        "multi_turn_stats": {
            "cache_hits": turns[0],
            "cache_misses": turns[1],
            "hit_rate": turns[0] / sum(turns) if sum(turns) else 0.0,
        },
    }


def _distribution(histogram: Histogram) -> dict[str, float | None]:
    percentiles = {name: histogram.percentile_ms(p) for name, p in PERCENTILES.items()}
    return {"mean": histogram.mean_ms(), **percentiles}


def _qos(counters: ClassCounters | None, target_p95_ms: float) -> Mapping[str, object]:
    """Return the statistics of a class of service; latencies are None without a request."""
    counters = counters or ClassCounters()
    requests, latency = counters.latency.count, counters.latency
    whole = _distribution(latency)
    return {
        "total_requests": requests,
        "latency_ms": {
            **{name: whole[name] for name in _OF_A_CLASS},
            "max": latency.max_ns / NS_PER_MS if requests else None,
        },
        "sla": {
            "target_p95_ms": target_p95_ms,
            "actual_p95_ms": whole["p95"],
            "compliance": counters.within_target / requests if requests else None,
            "met": None if whole["p95"] is None else whole["p95"] <= target_p95_ms,
        },
    }


def _additions(workload: Workload, trial: int, rank: RankTrial) -> dict[str, object]:
    """Return our own figures; `trial` is from 1."""
    requests = rank.requests
    storage_io_s = sum(rank.operation(STORAGE_TIER, k).device.sum_ns for k in KINDS) / NS_PER_S
    return {
        **window_json(rank, trial),
        "meaning": _MEANING,
        "parameters": workload.model_dump(),
        "tiers": {name: account._asdict() for name, account in rank.tiers.items()},
        "arrived": rank.arrived,
        "unserved": rank.unserved,
        "context_tokens": requests.context_tokens,
        "answer_reads": requests.decode_reads,
        "document_hits": requests.found["document"],
        "storage_io_s": storage_io_s,
        "is_simulated": rank.is_simulated,
        "corrupt_reads": requests.corrupt_reads,
        "histograms": _histograms(rank, requests),
        "time_series": series_json(rank.series),
    }


def _histograms(rank: RankTrial, requests: RequestCounters) -> dict[str, object]:
    """Return a rank's histograms for pooling of percentiles."""
    return {
        "request_latency": requests.latency.to_dict(),
        "storage_io": requests.cache_io.to_dict(),
        "queue_wait": requests.queue_wait.to_dict(),
        "lateness": None if rank.lateness is None else rank.lateness.to_dict(),
        "operations": operations_json(rank),
    }
