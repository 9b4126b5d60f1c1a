"""All ranks of a trial → one result, and all trials of a case.

Bandwidths and rates are summed over ranks; percentiles come from the histograms of all ranks (and,
for a case, of all trials) added up. Nothing is averaged that cannot be.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from mlpstorage_bench.errors import EmptyWindowError
from mlpstorage_bench.kvcache.profile import GIB
from mlpstorage_bench.kvcache.runner import STORAGE_TIER, RankTrial
from mlpstorage_bench.measure.audit import Verdict
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.recorder import Kind

_SEVERITY: tuple[Verdict, ...] = (
    "ok",
    "not measurable",
    "foreign traffic",
    "served from page cache",
)


@dataclass(frozen=True)
class Latencies:
    """Percentiles of all ranks' samples together, in milliseconds; None without samples."""

    read_p50_ms: float | None
    """Storage reads of whole entries, device span (system calls alone)."""
    read_p95_ms: float | None
    read_p99_ms: float | None
    read_p999_ms: float | None
    write_p50_ms: float | None
    """Storage writes of whole entries, device span (system calls and durability)."""
    write_p95_ms: float | None
    write_p99_ms: float | None
    write_p999_ms: float | None
    read_chunk_p95_ms: float | None
    """One system call."""
    write_chunk_p95_ms: float | None
    request_p50_ms: float | None
    """From when the user asked to when it had its answer."""
    request_p95_ms: float | None
    request_p99_ms: float | None
    queue_wait_p95_ms: float | None


@dataclass(frozen=True)
class TrialResult:
    """One trial over all ranks."""

    trial: int
    ranks: int
    window_s: float
    """Length of the measurement window: the longest of any rank's."""
    drain_s: float
    """The longest time that operations in flight took to end after the window."""
    closed_by: str
    requests: int
    requests_per_s: float
    generated_tokens_per_s: float
    read_bytes: int
    """From the storage tier, inside the window."""
    write_bytes: int
    """To the storage tier, inside the window."""
    read_gib_s: float
    write_gib_s: float
    hit_rate: float | None
    """Lookups that found their entry in some tier."""
    storage_entries: int
    """Resident on storage at the end."""
    memory_only_ranks: tuple[int, ...]
    """Ranks that did not put anything on storage."""
    cut_off_operations: int
    """Under way when the window closed; their finished chunks count, their latencies do not."""
    verified_reads: int
    """Chunks read from storage whose content was checked."""
    audit_ratio: float | None
    """Reported bytes / the kernel's: of the rank that is furthest from 1."""
    audit_verdict: Verdict
    """The worst of any rank's."""
    audit_reason: str
    cpu_s_per_gib: float | None
    """CPU seconds of all ranks per GiB moved to and from storage."""
    peak_rss_bytes: int
    """The most that any rank has had resident since its start."""
    latencies: Latencies

    @property
    def seconds_per_request(self) -> float:
        """Window ÷ requests that all ranks completed in it.

        When none was, the window itself: the true time is longer, and the notes say so.
        """
        return self.window_s / max(self.requests, 1)

    def metrics(self) -> dict[str, Any]:
        """Return every metric by name, the latencies among them."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "latencies"}
        return {**own, **vars(self.latencies)}


SPREAD = ("requests_per_s", "read_gib_s", "write_gib_s", "generated_tokens_per_s")
"""Metrics of which a case states mean, least and greatest over its trials."""
_TOTALS = (
    *("requests", "read_bytes", "write_bytes"),
    *("cut_off_operations", "verified_reads", "storage_entries"),
)


@dataclass(frozen=True)
class KVCacheResult:
    """What a test case measured: all its trials."""

    option: str
    trials: tuple[TrialResult, ...]
    latencies: Latencies
    """Of all trials' samples together."""

    @property
    def requests_per_s(self) -> float:
        """Mean over the trials."""
        return self._mean("requests_per_s")

    @property
    def read_gib_s(self) -> float:
        """Storage read bandwidth in GiB/s, mean over the trials."""
        return self._mean("read_gib_s")

    @property
    def write_gib_s(self) -> float:
        """Storage write bandwidth in GiB/s, mean over the trials."""
        return self._mean("write_gib_s")

    @property
    def read_bytes(self) -> int:
        """Bytes read from storage, all trials."""
        return sum(trial.read_bytes for trial in self.trials)

    @property
    def write_bytes(self) -> int:
        """Bytes written to storage, all trials."""
        return sum(trial.write_bytes for trial in self.trials)

    @property
    def touched_storage(self) -> bool:
        """Whether any rank put anything on storage."""
        return any(trial.storage_entries or trial.write_bytes for trial in self.trials)

    def notes(self) -> list[str]:
        """Return what a reader of these figures has to know, in sentences."""
        notes = []
        early = [trial for trial in self.trials if trial.closed_by != "duration"]
        if early:
            lengths = [trial.window_s for trial in early]
            notes.append(
                f"option {self.option}: the {early[0].closed_by} closed {len(early)} of "
                f"{len(self.trials)} windows after {min(lengths):.2f} to {max(lengths):.2f} s"
            )
        without = [trial.trial for trial in self.trials if trial.requests == 0]
        if without:
            notes.append(
                f"option {self.option}: no request ended within the window of trial "
                f"{', '.join(map(str, without))}; pytest-benchmark's time for it is a lower bound. "
                "Bandwidths count chunks and stand. A longer duration gives requests time to end"
            )
        return notes

    def metrics(self) -> dict[str, Any]:
        """Return every metric by name: means with their spread, totals, pooled percentiles."""
        metrics: dict[str, Any] = {"trials": len(self.trials)}
        for name in SPREAD:
            values = [getattr(trial, name) for trial in self.trials]
            metrics |= {
                name: statistics.fmean(values),
                f"{name}_min": min(values),
                f"{name}_max": max(values),
            }
        metrics |= {name: sum(getattr(t, name) for t in self.trials) for name in _TOTALS}
        rates = [trial.hit_rate for trial in self.trials if trial.hit_rate is not None]
        costs = [trial.cpu_s_per_gib for trial in self.trials if trial.cpu_s_per_gib is not None]
        worst = max(self.trials, key=lambda trial: _SEVERITY.index(trial.audit_verdict))
        return {
            **metrics,
            "window_s": [trial.window_s for trial in self.trials],
            "hit_rate": statistics.fmean(rates) if rates else None,
            "audit_ratio": _furthest_from_one([trial.audit_ratio for trial in self.trials]),
            "audit_verdict": worst.audit_verdict,
            "audit_reason": worst.audit_reason,
            "cpu_s_per_gib": statistics.fmean(costs) if costs else None,
            "peak_rss_bytes": max(trial.peak_rss_bytes for trial in self.trials),
            **vars(self.latencies),
        }

    def _mean(self, name: str) -> float:
        return statistics.fmean(getattr(trial, name) for trial in self.trials)


def pool_trial(trial: int, ranks: Sequence[RankTrial]) -> TrialResult:
    """Make one result of all ranks' views of a trial; EmptyWindowError when nothing moved in it."""
    requests = sum(rank.requests.requests for rank in ranks)
    window_s = max(rank.window_s for rank in ranks)
    if not any(operation.moved_bytes for rank in ranks for operation in rank.operations.values()):
        raise EmptyWindowError(
            f"Nothing was read or written within the window of {window_s:.1f} s (closed by the "
            f"{ranks[0].closed_by}), so there is nothing to report. Raise duration, raise "
            "write_limit_gb where the profile has one, or lower think_time_scale"
        )
    read = {rank.rank: rank.operation(STORAGE_TIER, "read") for rank in ranks}
    write = {rank.rank: rank.operation(STORAGE_TIER, "write") for rank in ranks}
    read_bytes = sum(operation.moved_bytes for operation in read.values())
    write_bytes = sum(operation.moved_bytes for operation in write.values())
    hits = sum(rank.requests.hits.total() for rank in ranks)
    lookups = hits + sum(rank.requests.misses for rank in ranks)
    worst = max(ranks, key=lambda rank: _SEVERITY.index(rank.audit.verdict))
    return TrialResult(
        trial=trial,
        ranks=len(ranks),
        window_s=window_s,
        drain_s=max(rank.drain_s for rank in ranks),
        closed_by=next((r.closed_by for r in ranks if r.closed_by != "another rank"), "duration"),
        requests=requests,
        requests_per_s=sum(rank.requests.requests / rank.window_s for rank in ranks),
        generated_tokens_per_s=sum(r.requests.generated_tokens / r.window_s for r in ranks),
        read_bytes=read_bytes,
        write_bytes=write_bytes,
        read_gib_s=sum(read[r.rank].moved_bytes / r.window_s for r in ranks) / GIB,
        write_gib_s=sum(write[r.rank].moved_bytes / r.window_s for r in ranks) / GIB,
        hit_rate=hits / lookups if lookups else None,
        storage_entries=sum(rank.entries[STORAGE_TIER] for rank in ranks),
        memory_only_ranks=tuple(rank.rank for rank in ranks if rank.entries[STORAGE_TIER] == 0),
        cut_off_operations=sum(
            operation.cut_off for rank in ranks for operation in rank.operations.values()
        ),
        verified_reads=sum(operation.verified_chunks for operation in read.values()),
        audit_ratio=_furthest_from_one([rank.audit.ratio for rank in ranks]),
        audit_verdict=worst.audit.verdict,
        audit_reason=worst.audit.reason,
        cpu_s_per_gib=(
            sum(rank.cpu_s for rank in ranks) / ((read_bytes + write_bytes) / GIB)
            if read_bytes + write_bytes
            else None
        ),
        peak_rss_bytes=max(rank.peak_rss_bytes for rank in ranks),
        latencies=pool_latencies(ranks),
    )


def pool_latencies(ranks: Sequence[RankTrial]) -> Latencies:
    """Return percentiles over the samples of all these ranks and trials."""

    def storage(kind: Kind, span: str) -> Histogram:
        return Histogram.pooled(getattr(r.operation(STORAGE_TIER, kind), span) for r in ranks)

    read, write = storage("read", "device"), storage("write", "device")
    request = Histogram.pooled(rank.requests.latency for rank in ranks)
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
        queue_wait_p95_ms=Histogram.pooled(r.requests.queue_wait for r in ranks).percentile_ms(95),
    )


def _furthest_from_one(ratios: Sequence[float | None]) -> float | None:
    measured = [ratio for ratio in ratios if ratio is not None]
    return max(measured, key=lambda ratio: abs(ratio - 1)) if measured else None


def histograms(rank: RankTrial) -> Mapping[str, Any]:
    """Return a rank's histograms for JSON, so that percentiles can be pooled later."""
    requests = rank.requests
    return {
        "request_latency": requests.latency.to_dict(),
        "queue_wait": requests.queue_wait.to_dict(),
        "operations": {
            f"{tier}_{kind}": operation.to_dict()
            for (tier, kind), operation in sorted(rank.operations.items())
        },
    }
