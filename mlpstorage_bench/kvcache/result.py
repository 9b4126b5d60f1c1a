"""What a test case measured: a result per trial, and all trials of a case.

Bandwidths and rates are averaged over trials with their spread beside; percentiles come from
histograms added up. Nothing is averaged that cannot be.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.kvcache.parameters import GIB
from mlpstorage_bench.kvcache.slo import describe
from mlpstorage_bench.kvcache.statistics import ClassStatistics
from mlpstorage_bench.measure.audit import SEVERITY, Verdict, furthest_from_one
from mlpstorage_bench.measure.ceiling import HARNESS_SHARE, Bound
from mlpstorage_bench.measure.stragglers import Straggler


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
    classes: Mapping[str, ClassStatistics]
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


UNTOUCHED = "no entry reached the storage tier: memory alone was measured"
SIMULATED = "no storage was there, and time was simulated: figures are what the workload asks for"
SPREAD = ("requests_per_s", "read_gib_s", "write_gib_s", "generated_tokens_per_s")
"""Metrics of which a case states mean, least and greatest over its trials."""
_TOTALS = (
    *("requests", "read_bytes", "repeated_read_bytes", "write_bytes"),
    *("cut_off_operations", "carried_in_operations", "storage_entries"),
    *("cut_off_requests", "carried_in_requests"),
    *(
        "verified_reads",
        "corrupt_reads",
        "chunks_seen_late",
        "page_cache_bytes",
        "arrived",
        "unserved",
    ),
)
_KNOWN_OR_NOT = (
    *("hit_rate", "hit_rate_bytes", "prefix_hit_rate_bytes", "cpu_s_per_gib"),
    *("lateness_p50_ms", "lateness_p95_ms", "lateness_p99_ms", "seen_late_share"),
    *("device_share", "block_layer_read_ms", "block_layer_write_ms"),
)
"""Metrics that a trial may not have: the mean is of those that do."""
_WORST = ("window_open_spread_ms", "window_close_spread_ms", "clock_uncertainty_ms")
"""Metrics of which a case has the greatest of its trials."""
_ENOUGH_HUGE_PAGES = 0.9
"""Share of the buffers from which on there is nothing to tell."""
_PER_TRIAL = (
    *("one_at_a_time", "huge_page_share", "window_s", "lookups", "lateness_max_ms", "steady"),
    "is_simulated",
)


@dataclass(frozen=True)
class KVCacheResult:
    """What a test case measured: all its trials."""

    option: str
    trials: tuple[TrialResult, ...]
    latencies: Latencies
    """Of all trials' samples together."""
    by_size: Mapping[str, Mapping[str, Mapping[str, float | None]]]
    """The same by kind and size class of the entries."""
    classes: Mapping[str, ClassStatistics]
    """Requests by class of service."""

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
        if not self.touched_storage:
            notes.append(f"option {self.option}: {UNTOUCHED}")
        if any(trial.is_simulated for trial in self.trials):
            notes.append(f"option {self.option}: {SIMULATED}")
        unsteady = [trial.trial for trial in self.trials if trial.steady is False]
        if unsteady:
            notes.append(
                f"option {self.option}: bandwidth was not steady within the window of trial "
                f"{', '.join(map(str, unsteady))}: warm up for longer, or until it is steady"
            )
        notes += [
            f"option {self.option}: trial {trial.trial}: {Straggler(**one)}"
            for trial in self.trials
            for one in trial.stragglers
        ]
        behind = [trial for trial in self.trials if trial.lateness_p50_ms and trial.unserved]
        if behind:
            notes.append(
                f"option {self.option}: requests came faster than they were served: up to "
                f"{max(trial.unserved for trial in behind)} were waiting when a window closed, up "
                f"to {max(trial.lateness_max_ms or 0 for trial in behind):.0f} ms late"
            )
        reason = next((t.one_at_a_time for t in self.trials if t.one_at_a_time), "")
        if reason:
            notes.append(
                f"option {self.option}: each lane had one chunk in flight at most, and none while "
                f"it made or checked content: {reason}"
            )
        shares = [t.huge_page_share for t in self.trials if t.huge_page_share is not None]
        if shares and min(shares) < _ENOUGH_HUGE_PAGES:
            notes.append(
                f"option {self.option}: {min(shares):.0%} of a rank's buffers were in huge pages: "
                "transfers take more of the processor, and some devices are slower. Linux gives "
                "huge pages where /sys/kernel/mm/transparent_hugepage/enabled is madvise or "
                "always, and has free memory in one piece"
            )
        early = [trial for trial in self.trials if trial.closed_by != "duration"]
        if early:
            lengths = [trial.window_s for trial in early]
            notes.append(
                f"option {self.option}: the {early[0].closed_by} closed {len(early)} of "
                f"{len(self.trials)} windows after {min(lengths):.2f} to {max(lengths):.2f} s"
            )
        notes += self._harness_notes()
        audits = {
            ("audit", t.audit_verdict, t.audit_reason)
            for t in self.trials
            if t.audit_verdict in ("served from page cache", "foreign traffic")
        } | {
            ("audit of the host", t.host_audit_verdict, t.host_audit_reason)
            for t in self.trials
            if t.host_audit_verdict in ("served from page cache", "foreign traffic")
        }
        notes += [
            f"option {self.option}: {name}: {verdict}: {reason}"
            for name, verdict, reason in sorted(audits)
        ]
        without = [trial.trial for trial in self.trials if trial.requests == 0]
        if without:
            notes.append(
                f"option {self.option}: no request ended within the window of trial "
                f"{', '.join(map(str, without))}; pytest-benchmark's time for it is a lower bound. "
                "Bandwidths count chunks and stand. A longer duration gives requests time to end"
            )
        return notes

    def _harness_notes(self) -> list[str]:
        """Say how the harness itself limited trials."""
        bound = [trial for trial in self.trials if trial.bound == "harness-bound"]
        if not bound:
            return []
        nearest = max(trial.ceiling_ratio or 0 for trial in bound)
        if nearest >= HARNESS_SHARE:
            cause = f"at its nearest {nearest:.0%} of what this host reaches without storage"
        else:
            cause = (
                f"lanes were in storage calls for {bound[0].busy_share:.0%} of their time, and the "
                f"devices at work for {bound[0].device_share or 0:.0%}: lanes wait for each other, "
                "and chunks' latencies hold that. Fewer lanes, with several chunks in flight, do "
                "so less"
            )
        remedy = "More hosts or ranks, or larger chunks, ask more of the storage"
        return [f"option {self.option}: harness-bound: {cause}. {remedy}"]

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
        worst = max(self.trials, key=lambda trial: SEVERITY.index(trial.audit_verdict))
        host = max(self.trials, key=lambda trial: SEVERITY.index(trial.host_audit_verdict))
        nearest = max(self.trials, key=lambda trial: trial.ceiling_ratio or 0.0)
        return {
            **metrics,
            **{name: self._mean_of_known(name) for name in _KNOWN_OR_NOT},
            **{name: self._worst_of_known(name) for name in _WORST},
            "stragglers": [{"trial": t.trial, **one} for t in self.trials for one in t.stragglers],
            **{name: [getattr(t, name) for t in self.trials] for name in _PER_TRIAL},
            "audit_ratio": furthest_from_one([trial.audit_ratio for trial in self.trials]),
            "audit_verdict": worst.audit_verdict,
            "audit_reason": worst.audit_reason,
            "host_audit_ratio": furthest_from_one([t.host_audit_ratio for t in self.trials]),
            "host_audit_verdict": host.host_audit_verdict,
            "host_audit_reason": host.host_audit_reason,
            "ceiling_ratio": nearest.ceiling_ratio,
            "bound": nearest.bound,
            "ceiling_operations_per_s": nearest.ceiling_operations_per_s,
            "ceiling_gib_s": nearest.ceiling_gib_s,
            "busy_share": statistics.fmean(trial.busy_share for trial in self.trials),
            "peak_rss_bytes": max(trial.peak_rss_bytes for trial in self.trials),
            **vars(self.latencies),
            "by_size": self.by_size,
            "qos": describe(self.classes),
        }

    def _mean_of_known(self, name: str) -> float | None:
        known = [value for t in self.trials if (value := getattr(t, name)) is not None]
        return statistics.fmean(known) if known else None

    def _worst_of_known(self, name: str) -> float | None:
        known = [value for t in self.trials if (value := getattr(t, name)) is not None]
        return max(known, default=None)

    def _mean(self, name: str) -> float:
        return statistics.fmean(getattr(trial, name) for trial in self.trials)
