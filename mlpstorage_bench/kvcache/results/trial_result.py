"""What all ranks measured in one trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.kvcache.config.request_counters import ClassCounters
from mlpstorage_bench.kvcache.config.slo import describe
from mlpstorage_bench.measure.audit import Verdict
from mlpstorage_bench.measure.ceiling import Bound
from mlpstorage_bench.units import GIB


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
    window_open_spread_ms: float | None
    """From when the first rank's window opened to when the last one's did; None in simulated time.
    Each edge is known to within `clock_uncertainty_ms`."""
    window_close_spread_ms: float | None
    clock_uncertainty_ms: float | None
    """How far any rank's clock may be from what was measured against rank 0's."""
    stragglers: Sequence[Mapping[str, Any]]
    """Ranks, and hosts (rank None), that moved less than their equals and were slower at it: host,
    rank, and share of what the median of them moved."""
    closed_by: str
    requests: int
    requests_per_s: float
    generated_tokens_per_s: float
    read_bytes: int
    """From the storage tier, inside the window."""
    repeated_read_bytes: int
    """Of these, reads that repeat an earlier one of the same request: what a cache that reads each
    entry once per request would not read."""
    write_bytes: int
    """To the storage tier, inside the window."""
    read_gib_s: float
    write_gib_s: float
    hit_rate: float | None
    """Lookups that found their entry in some tier."""
    hit_rate_bytes: float | None
    """The same by bytes."""
    prefix_hit_rate_bytes: float | None
    """By bytes, of prompts alone: system prompts, documents, and conversations."""
    lookups: Mapping[str, Mapping[str, float | int | None]]
    """By what they were for: hits, misses, and hit rate by bytes."""
    arrived: int
    """Requests that became due inside the window."""
    unserved: int
    """Requests that were due when the window closed, and that no lane had taken."""
    lateness_p50_ms: float | None
    """Where requests come at a rate: from when one was due to when a lane took it; those that none
    had taken count with what they had waited."""
    lateness_p95_ms: float | None
    lateness_p99_ms: float | None
    lateness_max_ms: float | None
    steady: bool | None
    """Whether bandwidth was steady inside the window, on every rank; None: too short to tell."""
    steadiness: Sequence[Mapping[str, Any]]
    """The evidence, for each rank."""
    warm_up: Sequence[Mapping[str, Any]]
    """How steady bandwidth was when the window opened, where that was waited for."""
    preconditioning: Sequence[Mapping[str, Any]]
    """What each rank wrote before anything else, and how steady that had become."""
    is_simulated: bool
    """No storage was there: figures are what the workload asks for."""
    storage_entries: int
    """Resident on storage at the end."""
    memory_only_ranks: tuple[int, ...]
    """Ranks that did not put anything on storage."""
    cut_off_operations: int
    """Under way when the window closed; their finished chunks count, their latencies do not."""
    carried_in_operations: int
    """Under way when the window opened."""
    cut_off_requests: int
    """In service, or being answered, when the window closed."""
    carried_in_requests: int
    """The same when it opened."""
    verified_reads: int
    """Chunks read from storage whose content was checked and right."""
    chunks_seen_late: int
    """Chunks moved from and to storage that had ended when their lane looked: their spans are upper
    bounds."""
    seen_late_share: float | None
    """By what share of their sum the spans of all chunks are too long at most."""
    one_at_a_time: str
    """Why lanes had no queue with the kernel, and so one chunk in flight at most; '' else."""
    huge_page_share: float | None
    """Of the buffers' memory, on the rank with the least; None where the kernel does not say."""
    corrupt_reads: int
    """Reads that found other data than was written, from the trial's start to its end; any fails
    the run."""
    audit_ratio: float | None
    """Reported bytes / the kernel's: of the rank that is furthest from 1."""
    audit_verdict: Verdict
    """The worst of any rank's."""
    audit_reason: str
    page_cache_bytes: int
    """Of all ranks: reported, but never seen at a device."""
    host_audit_ratio: float | None
    """Reported bytes / what the block devices moved, all processes of the host: of the host that is
    furthest from 1."""
    host_audit_verdict: Verdict
    host_audit_reason: str
    ceiling_ratio: float | None
    """Measured / what the harness reaches here without storage; None when not calibrated."""
    bound: Bound
    """What limited the trial."""
    ceiling_operations_per_s: float | None
    """Chunks per second over a null tier, all ranks."""
    ceiling_gib_s: float | None
    """Over memory, all ranks."""
    busy_share: float
    """Of the time and chunks in flight that the lanes had, what storage calls took, as their lanes
    saw it."""
    device_share: float | None
    """The same, as the kernel saw it: what the block devices took, all processes of the hosts, and
    making data durable; None where it keeps no times of a device."""
    block_layer_read_ms: float | None
    """Mean of the block devices' requests, all processes; a chunk may be several of them."""
    block_layer_write_ms: float | None
    cpu_s_per_gib: float | None
    """CPU seconds of all ranks per GiB moved to and from storage."""
    peak_rss_bytes: int
    """The most that any rank had resident in this trial."""
    latencies: Latencies
    by_size: Mapping[str, Mapping[str, Mapping[str, float | None]]]
    """Storage latencies by kind and size class of the entries: entries and their device p50, p95,
    p99 in ms."""
    classes: Mapping[str, ClassCounters]
    """Requests by class of service."""
    corruption: str
    """The first corrupt read of any rank, with file and offset; '' without any."""
    failure: MlpsError | None = None
    """What ended the trial early, on the first of the ranks where something did: figures are of
    what was measured until then."""

    @property
    def seconds_per_request(self) -> float:
        """Window ÷ requests that all ranks completed in it.

        When none was, the window itself: the true time is longer, and the notes say so.
        """
        return self.window_s / max(self.requests, 1)

    def failure_note(self, option: str) -> str:
        """Return what a reader has to know of a trial that failed, in a sentence."""
        return (
            f"option {option}: trial {self.trial} failed after {self.window_s:.2f} s of its "
            f"window. What it had measured until then is in the metadata as failed_trial "
            f"({self.read_bytes / GIB:.2f} GiB read, {self.write_bytes / GIB:.2f} GiB written), "
            "and in no mean"
        )

    def metrics(self) -> dict[str, Any]:
        """Return every metric by name, the latencies among them."""
        apart = ("latencies", "corruption", "failure", "classes")
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in apart}
        return {**own, **vars(self.latencies), "qos": describe(self.classes)}
