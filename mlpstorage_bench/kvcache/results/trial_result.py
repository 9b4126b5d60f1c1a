"""Result of one trial over all ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlpstorage_bench.kvcache.config.request_counters import ClassCounters
from mlpstorage_bench.kvcache.results.metrics.latencies import Latencies, LatenciesBySize
from mlpstorage_bench.kvcache.results.metrics.requests import Requests
from mlpstorage_bench.kvcache.results.metrics.traffic import Lookups, Traffic
from mlpstorage_bench.kvcache.results.metrics.window import Window
from mlpstorage_bench.measure.conditions import TrialConditions
from mlpstorage_bench.trial.base_trial import BaseTrial
from mlpstorage_bench.units import GIB


@dataclass(frozen=True)
class TrialResult(Requests, Traffic, LatenciesBySize, Lookups, BaseTrial, Window):
    """One trial over all ranks: every metric is an attribute, latencies below `latencies`."""

    classes: Mapping[str, ClassCounters]
    """Requests by class of service."""

    @property
    def latencies(self) -> Latencies:
        """Percentiles of all ranks' samples together, in milliseconds; None without samples."""
        return Latencies(self.values)

    @property
    def round_s(self) -> float:
        """Window ÷ requests that all ranks completed in it.

        When none was, the window itself: the true time is longer, and the notes say so.
        """
        return self.window_s / max(self.requests, 1)

    @property
    def conditions(self) -> TrialConditions:
        """Conditions that may have changed the metrics, besides the storage."""
        moved_gib_s = (self.read_gib_s or 0.0) + (self.write_gib_s or 0.0)
        return self.conditions_at(moved_gib_s, self.stragglers, self.straggler_loss)

    def wrong_data(self, trial: str) -> str:
        """Return how many reads found other data than was written, and the first of them."""
        if not self.corrupt_reads:
            return ""
        return (
            f"{self.corrupt_reads} reads of {trial} found other data than was written. The first: "
            f"{self.corruption}"
        )

    def failure_note(self, workload: str) -> str:
        """Return a note on a failed trial, in a sentence."""
        return (
            f"workload {workload}: trial {self.trial} failed after {self.window_s:.2f} s of its "
            f"window. What it had measured until then is in the metadata as failed_trial "
            f"({self.read_bytes / GIB:.2f} GiB read, {self.write_bytes / GIB:.2f} GiB written), "
            "and in no mean"
        )
