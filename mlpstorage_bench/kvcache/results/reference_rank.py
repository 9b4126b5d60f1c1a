"""Result of one rank's trial in the reference's format, with additions under `mlpstorage`.

The reference's latencies are those of whole entries; its *device* is our I/O span (with durability
for writes), its *host* our host span. `_gb` and `_gbps` stand for GiB, as they do there.
"""

from __future__ import annotations

from dataclasses import asdict

from mlpstorage_bench.kvcache.cache.tier import STORAGE_TIER
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.measure.device import DeviceTraffic, UnderlyingTraffic
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.recorder import KINDS
from mlpstorage_bench.measure.source import SourceTraffic
from mlpstorage_bench.units import GIB, NS_PER_MS

TIERS = ("gpu", "cpu", STORAGE_TIER)
_PERCENTILES = {"p50": 50, "p95": 95, "p99": 99, "p999": 99.9, "p9999": 99.99}


def rank_result(workload: Workload, trial: int, rank: RankTrial) -> dict[str, object]:
    """Return the content of `kvcache_results_<timestamp>.json` for this rank and trial."""
    requests = rank.requests
    audit = rank.audit
    storage_io_s = sum(rank.operation(STORAGE_TIER, kind).device.sum_ns for kind in KINDS) / 1e9
    return {
        "rank": rank.rank,
        "host": rank.host,
        "trial": trial,
        "parameters": workload.model_dump(),
        "summary": {
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
            "cache_stats": _cache_stats(rank),
        },
        "mlpstorage": {
            "opened_at": rank.opened_at,
            "window_s": rank.window_s,
            "drain_s": rank.drain_s,
            "closed_by": rank.closed_by,
            "edges": None if rank.edges is None else asdict(rank.edges),
            "io_mode": rank.io_mode,
            "in_flight": rank.in_flight,
            "queue_unavailable_reason": rank.queue_unavailable_reason,
            "huge_page_share": rank.huge_page_share,
            "tiers": {name: account._asdict() for name, account in rank.tiers.items()},
            "arrived": rank.arrived,
            "unserved": rank.unserved,
            "is_simulated": rank.is_simulated,
            "audit_ratio": audit.ratio,
            "audit_verdict": audit.verdict,
            "audit_reason": audit.reason,
            "page_cache_bytes": audit.cached_bytes,
            "device": _device(rank.device_traffic),
            "underlying": _underlying(rank.underlying_traffic),
            "mount": _mount(rank.mount_traffic),
            "lane_time": None if rank.lane_time is None else asdict(rank.lane_time),
            "ceiling": None if rank.ceiling is None else asdict(rank.ceiling),
            "corrupt_reads": requests.corrupt_reads,
            "cpu_s": rank.cpu_s,
            "peak_rss_bytes": rank.peak_rss_bytes,
            "histograms": _histograms(rank),
        },
    }


def _device(seen: DeviceTraffic | None) -> dict[str, object] | None:
    return None if seen is None else {"name": seen.device.name, **asdict(seen.traffic)}


def _underlying(seen: UnderlyingTraffic | None) -> dict[str, object] | None:
    if seen is None:
        return None
    return {
        "devices": [device.name for device in seen.underlying.devices],
        "memory": seen.underlying.memory,
        "unknown": seen.underlying.unknown,
        **({} if seen.traffic is None else asdict(seen.traffic)),
    }


def _mount(seen: SourceTraffic | None) -> dict[str, object] | None:
    if seen is None:
        return None
    return {
        **({} if seen.source is None else asdict(seen.source)),
        **({} if seen.traffic is None else asdict(seen.traffic)),
        "reason": seen.reason,
    }


def _cache_stats(rank: RankTrial) -> dict[str, object]:
    requests = rank.requests
    hits = requests.hits.total()
    lookups = hits + requests.misses
    stats: dict[str, object] = {
        "cache_hit_rate": hits / lookups if lookups else 0.0,
        "cache_hits": hits,
        "cache_misses": requests.misses,
        **{
            f"{tier}_entries": rank.tiers[tier].entries if tier in rank.tiers else 0
            for tier in TIERS
        },
        "offloads_cpu": rank.tiers["cpu"].offloads if "cpu" in rank.tiers else 0,
        "offloads_storage": rank.storage.offloads,
        "prefill_writes": requests.prefill_writes,
        "decode_reads": requests.decode_reads,
        "system_prompt_hits": requests.found["system prompt"],
        "common_phrase_hits": 0,
        "document_hits": requests.found["document"],
        "user_cache_hits": requests.found["answer"],
        "multi_turn_hits": requests.found["conversation"],
        "total_read_bytes": sum(rank.operation(tier, "read").moved_bytes for tier in TIERS),
        "total_write_bytes": sum(rank.operation(tier, "write").moved_bytes for tier in TIERS),
        "read_iops": hits,  # despite their names, the reference's are numbers of entries
        "write_iops": requests.prefill_writes,
        "storage_tokens_processed": requests.context_tokens,
    }
    for tier in TIERS:
        for kind, participle in (("read", "read"), ("write", "written")):
            operation = rank.operation(tier, "read" if kind == "read" else "write")
            gib = operation.moved_bytes / GIB
            stats[f"tier_{tier}_kv_bytes_{participle}_gb"] = gib
            stats[f"tier_{tier}_{kind}_bandwidth_gbps"] = rank.per_s(gib)
            stats |= _percentiles(f"{tier}_{kind}", operation.host)
            if tier == STORAGE_TIER:
                stats |= _percentiles(f"{tier}_{kind}_device", operation.device)
                stats |= _percentiles(f"{tier}_{kind}_host", operation.host)
    return stats


def _percentiles(prefix: str, histogram: Histogram) -> dict[str, float | None]:
    return {
        f"{prefix}_{name}_ms": histogram.percentile_ms(percent)
        for name, percent in _PERCENTILES.items()
    }


def _distribution(histogram: Histogram) -> dict[str, float | None]:
    percentiles = {name: histogram.percentile_ms(p) for name, p in _PERCENTILES.items()}
    return {"mean": histogram.mean_ms(), **percentiles, "max": histogram.max_ns / NS_PER_MS}


def _histograms(rank: RankTrial) -> dict[str, object]:
    """Return a rank's histograms for pooling of percentiles."""
    requests = rank.requests
    return {
        "request_latency": requests.latency.to_dict(),
        "queue_wait": requests.queue_wait.to_dict(),
        "lateness": None if rank.lateness is None else rank.lateness.to_dict(),
        "operations": [
            {**key._asdict(), **operation.to_dict()}
            for key, operation in sorted(rank.operations.items())
        ],
    }
