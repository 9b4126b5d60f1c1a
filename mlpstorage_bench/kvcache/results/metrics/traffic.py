"""Traffic: bytes, bandwidth and entries on storage, and lookups in the cache."""

from __future__ import annotations

from collections.abc import Callable

from mlpstorage_bench.kvcache.config.request_counters import RequestCounters
from mlpstorage_bench.kvcache.results.samples import PooledHistograms
from mlpstorage_bench.kvcache.results.trial_ranks import RANKS, TrialRanks
from mlpstorage_bench.metric.declaration import Measured, Metric, Shown
from mlpstorage_bench.metric.rules import LIST, MEAN, MEAN_WITH_SPREAD, NOT_COMBINED, SUM
from mlpstorage_bench.trial.rank_windows import part
from mlpstorage_bench.units import BYTES, COUNT, GIB, GIB_PER_S, RECORD, SHARE

Purposes = dict[str, dict[str, float | int | None]]


class Traffic(Measured):
    """Storage traffic."""

    read_gib_s = Metric(
        "Bandwidth of reads from storage; none if no time passed, in a simulation.",
        GIB_PER_S,
        RANKS.total_known(lambda rank: rank.per_s(rank.reported.read_bytes / GIB)),
        MEAN_WITH_SPREAD,
        formula="bytes of chunks that ended inside the window ÷ window_s, of each rank",
        title="read GiB/s",
        better="higher",
        gate="-10%",
        shown=Shown.LISTS,
        aliases=("read_bandwidth",),
    )
    write_gib_s = Metric(
        "Bandwidth of writes to storage; none if no time passed, in a simulation.",
        GIB_PER_S,
        RANKS.total_known(lambda rank: rank.per_s(rank.reported.write_bytes / GIB)),
        MEAN_WITH_SPREAD,
        formula="bytes of chunks that ended inside the window ÷ window_s, of each rank",
        title="write GiB/s",
        better="higher",
        gate="-10%",
        shown=Shown.LISTS,
        aliases=("write_bandwidth",),
    )
    read_bytes = Metric(
        "Bytes read from storage inside the window.",
        BYTES,
        RANKS.total(lambda rank: rank.reported.read_bytes),
        SUM,
    )
    repeated_read_bytes = Metric(
        "Part of read_bytes that repeats an earlier read of the same request: a cache that reads "
        "each entry once per request would not read it.",
        BYTES,
        RANKS.total(lambda rank: rank.stored[0].repeated_bytes),
        SUM,
    )
    write_bytes = Metric(
        "Bytes written to storage inside the window.",
        BYTES,
        RANKS.total(lambda rank: rank.reported.write_bytes),
        SUM,
    )
    storage_entries = Metric(
        "Entries on storage at the end of the trial.",
        COUNT,
        RANKS.total(lambda rank: rank.storage.entries),
        SUM,
    )
    memory_only_ranks = Metric(
        "Ranks that have no entry on storage at the end of the trial.",
        RECORD,
        RANKS.each(lambda rank: None if rank.storage.entries else rank.rank),
        NOT_COMBINED,
    )
    verified_reads = Metric(
        "Chunks read from storage whose content was checked and right.",
        COUNT,
        RANKS.total(lambda rank: rank.stored[0].verified_chunks),
        SUM,
        title="chunks verified",
        shown=Shown.REPORT,
    )
    read_back_chunks = Metric(
        "Chunks of the written data that were read back and checked after the window, because "
        "nothing was verified in it. They are in no other metric.",
        COUNT,
        RANKS.total(lambda rank: rank.read_back_chunks),
        SUM,
        title="chunks read back",
        shown=Shown.REPORT,
    )
    corrupt_reads = Metric(
        "Reads that found other data than was written, at any time of the trial. Any fails the "
        "run.",
        COUNT,
        RANKS.total(lambda rank: rank.requests.corrupt_reads),
        SUM,
        title="reads corrupt",
        better="lower",
        shown=Shown.REPORT,
    )


def _byte_share(
    found: Callable[[RequestCounters], int], missed: Callable[[RequestCounters], int]
) -> Callable[[PooledHistograms], float | None]:
    def share(samples: PooledHistograms) -> float | None:
        hit = found(samples.requests)
        return part(hit, hit + missed(samples.requests))

    return share


def _hit_rate(trial: TrialRanks) -> float | None:
    hits = sum(rank.requests.hits.total() for rank in trial.ranks)
    return part(hits, hits + sum(rank.requests.misses for rank in trial.ranks))


def _by_purpose(trial: TrialRanks) -> Purposes:
    total = trial.samples.requests
    purposes = [*total.found, *(p for p in total.missed if p not in total.found)]
    return {
        purpose: {
            "hits": total.found[purpose],
            "misses": total.missed[purpose],
            "hit_rate_bytes": part(
                total.found_bytes[purpose],
                total.found_bytes[purpose] + total.missed_bytes[purpose],
            ),
        }
        for purpose in sorted(purposes)
    }


class Lookups(Measured):
    """Lookups in the cache."""

    hit_rate = Metric(
        "Share of lookups that found their entry in some tier.",
        SHARE,
        RANKS.together("hits of all ranks ÷ lookups of all ranks", _hit_rate),
        MEAN,
        title="hits",
        better="higher",
        shown=Shown.HEADLINE,
    )
    hit_rate_bytes = Metric(
        "Share of looked-up bytes that were found in some tier.",
        SHARE,
        RANKS.pooled(
            _byte_share(lambda r: r.found_bytes.total(), lambda r: r.missed_bytes.total())
        ),
        MEAN,
        better="higher",
    )
    prefix_hit_rate_bytes = Metric(
        "Share of looked-up bytes of prompts that were found in some tier: system prompts, "
        "documents and conversations, without reads to decode.",
        SHARE,
        RANKS.pooled(
            _byte_share(
                lambda r: r.found_bytes.total() - r.found_bytes["answer"],
                lambda r: r.missed_bytes.total() - r.missed_bytes["answer"],
            )
        ),
        MEAN,
        better="higher",
    )
    lookups = Metric(
        "Lookups by purpose: hits, misses, and hit rate by bytes.",
        RECORD,
        RANKS.together("sum, by purpose", _by_purpose),
        LIST,
    )
