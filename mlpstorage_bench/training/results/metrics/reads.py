"""Reads: bytes from storage and from the page cache, their checks, and their latencies."""

from __future__ import annotations

from mlpstorage_bench.measure.stragglers import Straggler, find_stragglers, missing_share
from mlpstorage_bench.metric.declaration import Measured, Metric, Shown
from mlpstorage_bench.metric.rules import JOINED, LARGEST, MEAN, MEAN_WITH_SPREAD, POOLED, SUM
from mlpstorage_bench.training.results.training_ranks import RANKS, TrainingRanks
from mlpstorage_bench.units import BYTES, COUNT, GIB, GIB_PER_S, MILLISECONDS, RECORD, SHARE

_NOTEWORTHY_OVERESTIMATE = 0.05
"""Share of the spans, too long at most, from which tables show it beside percentiles."""


def _percentile(
    percent: float, *, span: str = "device", shown: Shown = Shown.DETAIL, gate: str = ""
) -> Metric[float | None]:
    """Declare a percentile of a span of reads."""
    of = "" if span == "device" else " chunk"
    return Metric(
        "Reads of single chunks, of samples or groups where a library reads: time as read_p50_ms."
        if of
        else "Reads of samples, or of groups that are read together: time in system calls; where a "
        "library reads, the whole of its call, with decoding and check.",
        MILLISECONDS,
        RANKS.pooled(lambda samples: samples.span(span).percentile_ms(percent)),
        POOLED,
        formula=f"{percent:g} % of reads do not exceed it",
        title=f"read{of} p{percent:g} ms".replace(".", ""),
        better="lower",
        gate=gate,
        shown=shown,
        beside="latency_overestimate_share",
        beside_from=_NOTEWORTHY_OVERESTIMATE,
    )


def _stragglers(trial: TrainingRanks) -> list[Straggler]:
    return find_stragglers([rank.work for rank in trial.ranks])


class Reads(Measured):
    """Reads of samples."""

    read_gib_s = Metric(
        "Bandwidth of reads, from storage and page cache together, over the whole window.",
        GIB_PER_S,
        RANKS.total_known(lambda rank: rank.per_s(rank.reported.read_bytes / GIB)),
        MEAN_WITH_SPREAD,
        formula="bytes of chunks that ended inside the window ÷ window_s, of each rank",
        title="read GiB/s",
        better="higher",
        shown=Shown.LISTS,
        aliases=("read_bandwidth",),
    )
    read_bytes = Metric(
        "Bytes read inside the window, from storage and page cache together.",
        BYTES,
        RANKS.total(lambda rank: rank.reported.read_bytes),
        SUM,
    )
    page_cache_share = Metric(
        "Share of the bytes that came from the page cache and from no device; none if nothing was "
        "read. A lower bound where read-ahead had devices read more than was asked for, as of "
        "parquet files, whose columns are not all read.",
        SHARE,
        RANKS.together(
            "page_cache_bytes ÷ read_bytes of all ranks", lambda trial: trial.page_cache_share
        ),
        MEAN,
        title="from page cache",
        better="lower",
        shown=Shown.HEADLINE,
        legend="from page cache: the part of the bytes that no device or server had to deliver; "
        "audit is through page cache where reads go through it",
    )
    read_p50_ms = _percentile(50, shown=Shown.REPORT)
    read_p95_ms = _percentile(95, shown=Shown.HEADLINE, gate="+20%")
    read_p99_ms = _percentile(99, shown=Shown.REPORT)
    read_p999_ms = _percentile(99.9)
    read_chunk_p95_ms = _percentile(95, span="chunk")
    verified_reads = Metric(
        "Chunks whose content was checked and right.",
        COUNT,
        RANKS.total(lambda rank: rank.stored[0].verified_chunks),
        SUM,
        title="chunks verified",
        shown=Shown.REPORT,
    )
    corrupt_reads = Metric(
        "Reads that found other data than was generated. Any fails the run.",
        COUNT,
        RANKS.total(lambda rank: rank.corrupt_reads),
        SUM,
        title="reads corrupt",
        better="lower",
        shown=Shown.REPORT,
    )
    stragglers = Metric(
        "Ranks, and hosts (rank null), that read less than their equals in the same time and were "
        "slower: host, rank, and share of what the median of them read.",
        RECORD,
        RANKS.together("each against the median of its equals", _stragglers),
        JOINED,
    )
    straggler_loss = Metric(
        "Share of the bandwidth that is missing because stragglers read less than their equals in "
        "the same time.",
        SHARE,
        RANKS.together(
            "missing ÷ (bandwidth + missing)",
            lambda trial: missing_share([rank.work for rank in trial.ranks]),
        ),
        LARGEST,
        better="lower",
    )
