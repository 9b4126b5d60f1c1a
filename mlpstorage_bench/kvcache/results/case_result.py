"""What a test case measured: all its trials together.

Bandwidths and rates are averaged over trials with their spread beside; percentiles come from
histograms added up. Nothing is averaged that cannot be.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlpstorage_bench.kvcache.config.request_counters import ClassCounters
from mlpstorage_bench.kvcache.config.slo import describe
from mlpstorage_bench.kvcache.results.notes import notes_on, touched_storage
from mlpstorage_bench.kvcache.results.trial_result import Latencies, TrialResult
from mlpstorage_bench.measure.audit import SEVERITY, furthest_from_one

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
    classes: Mapping[str, ClassCounters]
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
        return touched_storage(self.trials)

    def notes(self) -> list[str]:
        """Return what a reader of these figures has to know, in sentences."""
        return [f"option {self.option}: {note}" for note in notes_on(self.trials)]

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
