"""Latencies: percentiles of all samples, never means of percentiles."""

from __future__ import annotations

from typing import Literal

from mlpstorage_bench.kvcache.results.samples import PooledHistograms
from mlpstorage_bench.kvcache.results.trial_ranks import RANKS, pooled_span
from mlpstorage_bench.measure.operation_statistics import (
    KINDS,
    SIZE_CLASSES,
    STORAGE_TIER,
    Kind,
    OperationKey,
)
from mlpstorage_bench.metric.declaration import Measured, Metric, Shown
from mlpstorage_bench.metric.rules import POOLED
from mlpstorage_bench.units import MILLISECONDS, RECORD

Span = Literal["device", "block", "chunk"]
_NOTEWORTHY_OVERESTIMATE = 0.05
"""Share of the spans, too long at most, from which tables show it beside percentiles."""
_MEANINGS: dict[tuple[Kind, Span], str] = {
    ("read", "device"): "Reads of whole entries from storage: time in system calls.",
    ("write", "device"): "Writes of whole entries to storage: system calls and durability.",
    ("read", "block"): "Reads of blocks of block_mib from storage; none unless that is set.",
    ("write", "block"): "Writes of blocks of block_mib to storage, without the sync of an entry; "
    "none where that is not set or chunks reach the page cache alone.",
    ("read", "chunk"): "Reads of single chunks from storage.",
    ("write", "chunk"): "Writes of single chunks to storage.",
}


def _of_storage(
    kind: Kind,
    percent: float,
    span: Span = "device",
    shown: Shown = Shown.DETAIL,
    gate: str = "",
    aliases: tuple[str, ...] = (),
    legend: str = "",
) -> Metric[float | None]:
    """Declare a percentile of a span on storage."""
    of = "" if span == "device" else f" {span}"
    return Metric(
        _MEANINGS[kind, span],
        MILLISECONDS,
        RANKS.pooled(lambda samples: pooled_span(samples, kind, span).percentile_ms(percent)),
        POOLED,
        formula=f"{percent:g} % of samples do not exceed it",
        title=f"{kind}{of} p{percent:g} ms".replace(".", ""),
        better="lower",
        gate=gate,
        shown=shown,
        aliases=aliases,
        legend=legend,
        beside="latency_overestimate_share",
        beside_from=_NOTEWORTHY_OVERESTIMATE,
    )


def _of_requests(
    span: Literal["latency", "queue_wait"], percent: float, title: str, meaning: str, shown: Shown
) -> Metric[float | None]:
    """Declare a percentile of a span of requests."""

    def value(samples: PooledHistograms) -> float | None:
        counters = samples.requests
        histogram = counters.latency if span == "latency" else counters.queue_wait
        return histogram.percentile_ms(percent)

    return Metric(
        meaning,
        MILLISECONDS,
        RANKS.pooled(value),
        POOLED,
        formula=f"{percent:g} % of samples do not exceed it",
        title=title,
        better="lower",
        shown=shown,
    )


_ANSWERED = "Requests: from when the user asked to when the answer was complete."


class Latencies(Measured):
    """Latencies."""

    read_p50_ms = _of_storage("read", 50, shown=Shown.REPORT)
    read_p95_ms = _of_storage(
        "read",
        95,
        shown=Shown.LISTS,
        gate="+20%",
        aliases=("read_p95",),
        legend="p95 of whole entries, all samples; (≤N%): processors were scarce, and these times "
        "are too long by up to N %",
    )
    read_p99_ms = _of_storage("read", 99, shown=Shown.REPORT, aliases=("read_p99",))
    read_p999_ms = _of_storage("read", 99.9)
    write_p50_ms = _of_storage("write", 50, shown=Shown.REPORT)
    write_p95_ms = _of_storage(
        "write", 95, shown=Shown.HEADLINE, gate="+20%", aliases=("write_p95",)
    )
    write_p99_ms = _of_storage("write", 99, shown=Shown.REPORT, aliases=("write_p99",))
    write_p999_ms = _of_storage("write", 99.9)
    read_block_p95_ms = _of_storage("read", 95, "block")
    read_block_p99_ms = _of_storage("read", 99, "block")
    write_block_p95_ms = _of_storage("write", 95, "block")
    write_block_p99_ms = _of_storage("write", 99, "block")
    read_chunk_p95_ms = _of_storage("read", 95, "chunk")
    write_chunk_p95_ms = _of_storage("write", 95, "chunk")
    request_p50_ms = _of_requests("latency", 50, "request p50 ms", _ANSWERED, Shown.DETAIL)
    request_p95_ms = _of_requests("latency", 95, "request p95 ms", _ANSWERED, Shown.REPORT)
    request_p99_ms = _of_requests("latency", 99, "request p99 ms", _ANSWERED, Shown.DETAIL)
    queue_wait_p95_ms = _of_requests(
        "queue_wait",
        95,
        "queue wait p95 ms",
        "Requests: from when the user asked to when a lane took the request.",
        Shown.REPORT,
    )


BySize = dict[str, dict[str, dict[str, float | None]]]


def _by_size(samples: PooledHistograms) -> BySize:
    pooled: BySize = {"read": {}, "write": {}}
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


class LatenciesBySize(Measured):
    """Latencies by size of entries."""

    by_size = Metric(
        "Latencies of whole entries on storage, by kind and size class: entries, p50_ms, p95_ms, "
        "p99_ms.",
        RECORD,
        RANKS.pooled(_by_size),
        POOLED,
    )
