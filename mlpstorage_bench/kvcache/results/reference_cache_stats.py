"""The `cache_stats` of one rank's trial, with the reference's keys, order and definitions.

`_gb` and `_gbps` stand for GiB, and `_iops` for numbers of operations, as they do there. Of an
entry's latency, *device* is the time during which a system call was in progress (with the flush of
writes), *host* the rest. Bytes and latencies are those within the window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.operation_statistics import KINDS, STORAGE_TIER, Kind
from mlpstorage_bench.units import GIB

TIERS = ("gpu", "cpu", STORAGE_TIER)
PERCENTILES = {"p50": 50, "p95": 95, "p99": 99, "p999": 99.9, "p9999": 99.99}
_LEAST_HIT_RATE = 0.3
_PARTICIPLES: dict[Kind, str] = {"read": "read", "write": "written"}


def cache_stats(workload: Workload, rank: RankTrial) -> dict[str, object]:
    """Return a rank's `cache_stats`; percentiles of a tier exist only where it was used."""
    requests = rank.requests
    hits, misses = requests.hits.total(), requests.misses
    read_bytes, write_bytes = (_requested_bytes(rank, kind) for kind in KINDS)
    gib = {
        (tier, kind): rank.operation(tier, kind).moved_bytes / GIB
        for tier in TIERS
        for kind in KINDS
    }
    prompts, turns = requests.found["system prompt"], requests.found["conversation"]
    return {
        "cache_hit_rate": hits / (hits + misses) if hits + misses else 0.0,
        "cache_hits": hits,
        "cache_misses": misses,
        **{f"{tier}_entries": _entries(rank, tier) for tier in TIERS},
        **{f"{tier}_memory_used_gb": _used_gib(rank, tier) for tier in ("gpu", "cpu")},
        **{f"offloads_{tier}": _offloads(rank, tier) for tier in ("cpu", STORAGE_TIER)},
        "storage_health": _health(rank, hits, misses),
        "prefill_writes": requests.prefill_writes,
        "decode_reads": hits,
        **{
            f"tier_{tier}_kv_bytes_{_PARTICIPLES[kind]}_gb": gib[tier, kind]
            for kind in ("write", "read")
            for tier in TIERS
        },
        **{
            f"tier_{tier}_{kind}_bandwidth_gbps": rank.per_s(gib[tier, kind])
            for tier in TIERS
            for kind in KINDS
        },
        "system_prompt_hits": prompts,
        "common_phrase_hits": 0,
        "user_cache_hits": hits - prompts - turns,
        "multi_turn_hits": turns,
        "total_read_bytes": read_bytes,
        "total_write_bytes": write_bytes,
        "total_read_gb": read_bytes / GIB,
        "total_write_gb": write_bytes / GIB,
        "read_write_ratio": read_bytes / write_bytes if write_bytes else 0.0,
        "read_iops": hits,
        "write_iops": requests.prefill_writes,
        "storage_tokens_processed": rank.reported.total / workload.stored_bytes_per_token,
        **_latencies(rank),
    }


def percentiles(prefix: str, histogram: Histogram) -> dict[str, float | None]:
    """Return a histogram's percentiles as `<prefix>_p95_ms` and so on; none without samples."""
    if not histogram.count:
        return {}
    return {f"{prefix}_{name}_ms": histogram.percentile_ms(p) for name, p in PERCENTILES.items()}


def _requested_bytes(rank: RankTrial, kind: Kind) -> int:
    """Return the bytes that requests moved, without copies between tiers."""
    operations = [rank.operation(tier, kind) for tier in TIERS]
    return sum(operation.moved_bytes - operation.copied_bytes for operation in operations)


def _entries(rank: RankTrial, tier: str) -> int:
    return rank.tiers[tier].entries if tier in rank.tiers else 0


def _offloads(rank: RankTrial, tier: str) -> int:
    """Return the entries that were placed in a tier, by requests or from the one above."""
    return rank.tiers[tier].offloads if tier in rank.tiers else 0


def _used_gib(rank: RankTrial, tier: str) -> float:
    account = rank.tiers.get(tier)
    return 0.0 if account is None else (account.written_bytes - account.evicted_bytes) / GIB


def _latencies(rank: RankTrial) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for tier in TIERS:
        for kind in KINDS:
            found |= percentiles(f"{tier}_{kind}", rank.operation(tier, kind).host)
    for kind in KINDS:
        operation = rank.operation(STORAGE_TIER, kind)
        found |= percentiles(f"{STORAGE_TIER}_{kind}_device", operation.device)
        found |= percentiles(f"{STORAGE_TIER}_{kind}_host", operation.host_only)
    return found


@dataclass(frozen=True)
class _Criterion:
    """One of the reference's criteria, which are no part of the benchmark."""

    name: str
    target: float
    actual: float
    unit: str
    passed: bool

    @classmethod
    def below(cls, name: str, limit_ms: int, histogram: Histogram) -> Iterator[_Criterion]:
        """Yield the criterion that a P95 is below a limit; nothing without samples."""
        actual = histogram.percentile_ms(95)
        if actual is not None:
            yield cls(f"{name} < {limit_ms}ms", limit_ms, actual, "ms", actual < limit_ms)


def _health(rank: RankTrial, hits: int, misses: int) -> dict[str, object]:
    reads, writes = rank.stored
    memory = Histogram.pooled(rank.operation("cpu", kind).host for kind in KINDS)
    rate = hits / (hits + misses) if hits + misses else 0.0
    criteria = [
        *_Criterion.below("Storage Tier Write Device P95", 500, writes.device),
        *_Criterion.below("Storage Tier Read Device P95", 200, reads.device),
        *_Criterion.below("CPU RAM P95", 150, memory),
        _Criterion("Cache Hit Rate > 30%", _LEAST_HIT_RATE, rate, "ratio", rate > _LEAST_HIT_RATE),
    ]
    passed = sum(one.passed for one in criteria)
    return {
        "overall_status": "PASS" if passed == len(criteria) else "FAIL",
        "criteria": [vars(one) for one in criteria],
        "passed_count": passed,
        "total_count": len(criteria),
    }
