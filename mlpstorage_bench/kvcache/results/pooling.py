"""All ranks of a trial → one result.

Bandwidths and rates are summed over ranks; percentiles come from the histograms of all ranks (and,
for a case, of all trials) added up, which happens on their way to rank 0 (`PooledHistograms`).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mlpstorage_bench.errors import EmptyWindowError
from mlpstorage_bench.kvcache.cache.tier import STORAGE_TIER
from mlpstorage_bench.kvcache.config.request_counters import RequestCounters
from mlpstorage_bench.kvcache.results.host_traffic import by_host, device_share, request_ms
from mlpstorage_bench.kvcache.results.rank_trial import FAILURE, RankTrial
from mlpstorage_bench.kvcache.results.samples import PooledHistograms
from mlpstorage_bench.kvcache.results.trial_result import Latencies, TrialResult
from mlpstorage_bench.measure.audit import SEVERITY, Audit, furthest_from_one
from mlpstorage_bench.measure.ceiling import bound_by, ceiling_ratio
from mlpstorage_bench.measure.clock_offset import spread_ns
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.recorder import KINDS, SIZE_CLASSES, Kind, OperationKey
from mlpstorage_bench.measure.steadiness import Steadiness
from mlpstorage_bench.measure.stragglers import find_stragglers
from mlpstorage_bench.units import GIB, NS_PER_MS


def pool_trial(
    trial: int, ranks: Sequence[RankTrial], samples: PooledHistograms | None = None
) -> TrialResult:
    """Make one result of all ranks' views of a trial; EmptyWindowError when nothing moved in it.

    Where that is because a rank failed, its failure is raised instead. Of the ranks their totals
    are enough where the samples of all of them are given.
    """
    samples = PooledHistograms.of(ranks) if samples is None else samples
    requests = sum(rank.requests.requests for rank in ranks)
    window_s = max(rank.window_s for rank in ranks)
    failure = next((rank.failure for rank in ranks if rank.failure is not None), None)
    if not any(operation.moved_bytes for rank in ranks for operation in rank.operations.values()):
        if failure is not None:
            raise failure
        raise EmptyWindowError(
            f"Nothing was read or written within the window of {window_s:.1f} s (closed by the "
            f"{ranks[0].closed_by}), so there is nothing to report. Raise duration, raise "
            "write_limit_gb where the profile has one, or lower think_time_scale"
        )
    reported = Traffic.sum(rank.reported for rank in ranks)
    hits = sum(rank.requests.hits.total() for rank in ranks)
    lookups = hits + sum(rank.requests.misses for rank in ranks)
    operations = [operation for rank in ranks for operation in rank.operations.values()]
    stored = [rank.operation(STORAGE_TIER, kind) for rank in ranks for kind in KINDS]
    audits = [rank.audit for rank in ranks]
    worst = _worst(audits)
    hosts = by_host(ranks)
    host_audits = [host.audit for host in hosts]
    worst_host = _worst(host_audits)
    rates = [rank.rate for rank in ranks]
    ceilings = [rank.ceiling for rank in ranks]
    ratio = ceiling_ratio(rates, ceilings)
    busy_share = statistics.fmean(rate.busy_share for rate in rates)
    of_devices = device_share(hosts)
    cpu_s = [rank.cpu_s for rank in ranks if rank.cpu_s is not None]
    lateness = samples.lateness
    found, missed = samples.requests.found_bytes, samples.requests.missed_bytes
    edges = [rank.edges for rank in ranks if rank.edges is not None]
    measured = [ceiling for ceiling in ceilings if ceiling is not None]
    return TrialResult(
        trial=trial,
        ranks=len(ranks),
        window_s=window_s,
        drain_s=max(rank.drain_s for rank in ranks),
        window_open_spread_ms=_ms(spread_ns([edge.opened_ns for edge in edges])),
        window_close_spread_ms=_ms(spread_ns([edge.closed_ns for edge in edges])),
        clock_uncertainty_ms=_ms(max((edge.uncertainty_ns for edge in edges), default=None)),
        stragglers=[asdict(one) for one in find_stragglers([rank.work for rank in ranks])],
        closed_by=_closed_by(ranks),
        requests=requests,
        requests_per_s=sum(rank.requests.requests / rank.window_s for rank in ranks),
        generated_tokens_per_s=sum(r.requests.generated_tokens / r.window_s for r in ranks),
        read_bytes=reported.read_bytes,
        repeated_read_bytes=sum(r.operation(STORAGE_TIER, "read").repeated_bytes for r in ranks),
        write_bytes=reported.write_bytes,
        read_gib_s=sum(rank.reported.read_bytes / rank.window_s for rank in ranks) / GIB,
        write_gib_s=sum(rank.reported.write_bytes / rank.window_s for rank in ranks) / GIB,
        hit_rate=hits / lookups if lookups else None,
        hit_rate_bytes=_share(found.total(), missed.total()),
        prefix_hit_rate_bytes=_share(
            found.total() - found["answer"], missed.total() - missed["answer"]
        ),
        lookups=_by_purpose(samples.requests),
        arrived=sum(rank.arrived for rank in ranks),
        unserved=sum(rank.unserved for rank in ranks),
        lateness_p50_ms=lateness.percentile_ms(50),
        lateness_p95_ms=lateness.percentile_ms(95),
        lateness_p99_ms=lateness.percentile_ms(99),
        lateness_max_ms=lateness.max_ns / NS_PER_MS if lateness.count else None,
        steady=_all_steady([rank.steadiness for rank in ranks]),
        steadiness=_evidence([rank.steadiness for rank in ranks]),
        warm_up=_evidence([rank.warm_up for rank in ranks]),
        preconditioning=[
            {
                "seconds": p.seconds,
                "written_gib": p.written_bytes / GIB,
                "steadiness": _evidence([p.steadiness]),
            }
            for p in (rank.preconditioning for rank in ranks)
            if p is not None
        ],
        is_simulated=any(rank.is_simulated for rank in ranks),
        storage_entries=sum(rank.storage.entries for rank in ranks),
        memory_only_ranks=tuple(rank.rank for rank in ranks if rank.storage.entries == 0),
        cut_off_operations=sum(operation.cut_off for operation in operations),
        carried_in_operations=sum(operation.carried_in for operation in operations),
        cut_off_requests=sum(rank.requests.cut_off for rank in ranks),
        carried_in_requests=sum(rank.requests.carried_in for rank in ranks),
        verified_reads=sum(r.operation(STORAGE_TIER, "read").verified_chunks for r in ranks),
        chunks_seen_late=sum(operation.chunks_seen_late for operation in stored),
        seen_late_share=_part(
            sum(operation.seen_late_ns for operation in stored),
            sum(operation.chunk.sum_ns for operation in stored),
        ),
        one_at_a_time=next((rank.one_at_a_time for rank in ranks if rank.one_at_a_time), ""),
        huge_page_share=min(
            (rank.huge_page_share for rank in ranks if rank.huge_page_share is not None),
            default=None,
        ),
        corrupt_reads=sum(rank.requests.corrupt_reads for rank in ranks),
        audit_ratio=furthest_from_one([audit.ratio for audit in audits]),
        audit_verdict=worst.verdict,
        audit_reason=worst.reason,
        page_cache_bytes=sum(audit.cached_bytes for audit in audits),
        host_audit_ratio=furthest_from_one([audit.ratio for audit in host_audits]),
        host_audit_verdict=worst_host.verdict,
        host_audit_reason=worst_host.reason,
        ceiling_ratio=ratio,
        bound=bound_by(ratio, busy_share, of_devices),
        ceiling_operations_per_s=sum(c.operations_per_s for c in measured) if measured else None,
        ceiling_gib_s=sum(c.gib_s for c in measured) if measured else None,
        busy_share=busy_share,
        device_share=of_devices,
        block_layer_read_ms=request_ms(hosts, "read"),
        block_layer_write_ms=request_ms(hosts, "write"),
        cpu_s_per_gib=(
            sum(cpu_s) / (reported.total / GIB)
            if reported.total and len(cpu_s) == len(ranks)
            else None
        ),
        peak_rss_bytes=max(rank.peak_rss_bytes for rank in ranks),
        latencies=pool_latencies(samples),
        by_size=pool_by_size(samples),
        classes=samples.requests.classes,
        corruption=next(
            (f"rank {r.rank} on {r.host}: {r.corruption}" for r in ranks if r.corruption), ""
        ),
        failure=failure,
    )


def _closed_by(ranks: Sequence[RankTrial]) -> str:
    """Return what closed the windows of all: a failure, if there was one anywhere."""
    reasons = [rank.closed_by for rank in ranks if rank.closed_by != "another rank"]
    return FAILURE if FAILURE in reasons else next(iter(reasons), "duration")


def _share(found: int, missed: int) -> float | None:
    return _part(found, found + missed)


def _part(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _ms(time_ns: int | None) -> float | None:
    return None if time_ns is None else time_ns / NS_PER_MS


def _by_purpose(total: RequestCounters) -> dict[str, dict[str, float | int | None]]:
    """Return what lookups found, by what they were for."""
    purposes = [*total.found, *(p for p in total.missed if p not in total.found)]
    return {
        purpose: {
            "hits": total.found[purpose],
            "misses": total.missed[purpose],
            "hit_rate_bytes": _share(total.found_bytes[purpose], total.missed_bytes[purpose]),
        }
        for purpose in sorted(purposes)
    }


def _all_steady(judged: Sequence[Steadiness | None]) -> bool | None:
    """Whether every rank's bandwidth was steady; None where a window was too short to tell."""
    if any(one is None for one in judged):
        return None
    return all(one.is_steady for one in judged if one is not None)


def _evidence(judged: Sequence[Steadiness | None]) -> list[dict[str, Any]]:
    """Return what says how steady each rank was: trend and deviation in %, GiB/s part by part."""
    return [
        {
            "steady": one.is_steady,
            "slope_pct": 100 * one.slope,
            "deviation_pct": 100 * one.deviation,
            "gib_s": [rate / GIB for rate in one.rates],
        }
        for one in judged
        if one is not None
    ]


def _worst(audits: Sequence[Audit]) -> Audit:
    return max(audits, key=lambda audit: SEVERITY.index(audit.verdict))


def pool_by_size(samples: PooledHistograms) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return storage latencies by kind and size class."""
    pooled: dict[str, dict[str, dict[str, float | None]]] = {"read": {}, "write": {}}
    for kind in KINDS:
        for name, _ in SIZE_CLASSES:
            operation = samples.operations.get(OperationKey(STORAGE_TIER, kind, name))
            if operation is not None and operation.device.count:
                device = operation.device
                pooled[kind][name] = {
                    "entries": device.count,
                    "p50_ms": device.percentile_ms(50),
                    "p95_ms": device.percentile_ms(95),
                    "p99_ms": device.percentile_ms(99),
                }
    return pooled


def pool_latencies(samples: PooledHistograms) -> Latencies:
    """Return percentiles over all samples."""

    def storage(kind: Kind, span: str) -> Histogram:
        return Histogram.pooled(
            getattr(operation, span)
            for key, operation in samples.operations.items()
            if (key.tier, key.kind) == (STORAGE_TIER, kind)
        )

    read, write = storage("read", "device"), storage("write", "device")
    request = samples.requests.latency
    return Latencies(
        read_p50_ms=read.percentile_ms(50),
        read_p95_ms=read.percentile_ms(95),
        read_p99_ms=read.percentile_ms(99),
        read_p999_ms=read.percentile_ms(99.9),
        write_p50_ms=write.percentile_ms(50),
        write_p95_ms=write.percentile_ms(95),
        write_p99_ms=write.percentile_ms(99),
        write_p999_ms=write.percentile_ms(99.9),
        read_chunk_p95_ms=storage("read", "chunk").percentile_ms(95),
        write_chunk_p95_ms=storage("write", "chunk").percentile_ms(95),
        request_p50_ms=request.percentile_ms(50),
        request_p95_ms=request.percentile_ms(95),
        request_p99_ms=request.percentile_ms(99),
        queue_wait_p95_ms=samples.requests.queue_wait.percentile_ms(95),
    )
