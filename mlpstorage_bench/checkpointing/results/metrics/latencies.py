"""Latencies of chunks, flushes and whole files: percentiles of all samples."""

from __future__ import annotations

from typing import Literal

from mlpstorage_bench.checkpointing.config.parameters import Kind
from mlpstorage_bench.checkpointing.results.checkpoint_ranks import RANKS
from mlpstorage_bench.metric.declaration import Measured, Metric, Shown
from mlpstorage_bench.metric.rules import POOLED
from mlpstorage_bench.units import MILLISECONDS

Span = Literal["chunk", "device", "durability"]

_MEANINGS: dict[tuple[Kind, Span], str] = {
    ("write", "chunk"): "Writes of single chunks.",
    ("read", "chunk"): "Reads of single chunks.",
    ("write", "device"): "Writes of whole files: time in system calls, the flush included.",
    ("read", "device"): "Reads of whole files: time in system calls.",
    ("write", "durability"): "Flushes of files that were written (fsync).",
}
_NAMES: dict[Span, str] = {"chunk": " chunk", "device": "", "durability": ""}
_NOTEWORTHY_OVERESTIMATE = 0.05
"""Share of the spans, too long at most, from which tables show it beside percentiles."""


def _of(
    kind: Kind, span: Span, percent: float, shown: Shown = Shown.DETAIL
) -> Metric[float | None]:
    """Declare a percentile of a span."""
    title = "flush" if span == "durability" else f"{kind}{_NAMES[span]}"
    return Metric(
        _MEANINGS[kind, span],
        MILLISECONDS,
        RANKS.pooled(lambda samples: samples.span(kind, span).percentile_ms(percent)),
        POOLED,
        formula=f"{percent:g} % of samples do not exceed it",
        title=f"{title} p{percent:g} ms".replace(".", ""),
        better="lower",
        shown=shown,
        beside="latency_overestimate_share",
        beside_from=_NOTEWORTHY_OVERESTIMATE,
    )


class Latencies(Measured):
    """Latencies."""

    write_chunk_p50_ms = _of("write", "chunk", 50)
    write_chunk_p95_ms = _of("write", "chunk", 95, Shown.REPORT)
    write_chunk_p99_ms = _of("write", "chunk", 99, Shown.REPORT)
    read_chunk_p50_ms = _of("read", "chunk", 50)
    read_chunk_p95_ms = _of("read", "chunk", 95, Shown.REPORT)
    read_chunk_p99_ms = _of("read", "chunk", 99, Shown.REPORT)
    write_p50_ms = _of("write", "device", 50)
    write_p95_ms = _of("write", "device", 95)
    read_p50_ms = _of("read", "device", 50)
    read_p95_ms = _of("read", "device", 95)
    flush_p50_ms = _of("write", "durability", 50, Shown.REPORT)
    flush_p95_ms = _of("write", "durability", 95, Shown.HEADLINE)
    flush_p99_ms = _of("write", "durability", 99, Shown.REPORT)
