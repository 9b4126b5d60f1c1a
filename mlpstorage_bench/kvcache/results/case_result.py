"""Result of a test case: all its trials together.

Bandwidths and rates are means over trials with their spread beside; percentiles come from the
histograms of all trials added up. Each metric's declaration has its rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlpstorage_bench.benchmark_type.records import ObjectiveRecord
from mlpstorage_bench.errors import NotMeasuredError
from mlpstorage_bench.kvcache.config.request_counters import ClassCounters
from mlpstorage_bench.kvcache.results.metrics.latencies import BySize, Latencies, LatenciesBySize
from mlpstorage_bench.kvcache.results.notes import notes_on, touched_storage
from mlpstorage_bench.kvcache.results.trial_result import TrialResult
from mlpstorage_bench.metric.values import Values, as_json, numbers_in


@dataclass(frozen=True)
class KVCacheResult:
    """A test case: its trials, and every metric of all of them."""

    workload: str
    """Name of the workload, or of the case that a test makes of it."""
    trials: tuple[TrialResult, ...]
    values: Values
    """Metrics of the case by name."""
    classes: Mapping[str, ClassCounters]
    """Requests of all trials by class of service."""
    objectives: tuple[ObjectiveRecord, ...] = ()
    """Objectives of the workload and the test, met or not."""

    @property
    def latencies(self) -> Latencies:
        """Percentiles of all trials' samples together, in milliseconds; None without samples."""
        return Latencies(self.values)

    @property
    def requests_per_s(self) -> float:
        """Requests per second, mean over the trials; NotMeasuredError without time."""
        return self._number("requests_per_s")

    @property
    def read_gib_s(self) -> float:
        """Storage read bandwidth in GiB/s, mean over the trials; NotMeasuredError without time."""
        return self._number("read_gib_s")

    @property
    def write_gib_s(self) -> float:
        """Storage write bandwidth in GiB/s, mean over the trials; NotMeasuredError without time."""
        return self._number("write_gib_s")

    @property
    def read_bytes(self) -> int:
        """Bytes read from storage, all trials."""
        return int(self._number("read_bytes"))

    @property
    def write_bytes(self) -> int:
        """Bytes written to storage, all trials."""
        return int(self._number("write_bytes"))

    @property
    def by_size(self) -> BySize:
        """Latencies by kind and size class of the entries."""
        return LatenciesBySize(self.values).by_size

    @property
    def touched_storage(self) -> bool:
        """Whether any rank wrote to storage."""
        return touched_storage(self.trials)

    def notes(self) -> list[str]:
        """Return notes on these metrics, in sentences."""
        return [f"workload {self.workload}: {note}" for note in notes_on(self.trials)]

    def metrics(self) -> dict[str, object]:
        """Return every metric by name, with the number of trials, for JSON."""
        return {"trials": len(self.trials), **as_json(self.values)}

    def _number(self, name: str) -> float:
        if self.values[name] is None:
            raise NotMeasuredError(
                f"{name} of workload {self.workload}: no time passed in the simulation, so there "
                f"are amounts and no rates. `values[{name!r}]` is None"
            )
        (value,) = numbers_in([self.values], name)
        return value
