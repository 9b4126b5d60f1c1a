"""Flushes of one rank, and its requests that ended late, as its file records them."""

from __future__ import annotations

from typing import NamedTuple

from mlpstorage_bench.leaves.document import Document

NO_FLUSH_MS = 0.05
"""A flush of `_LARGE_GIB` in less time moved nothing to a device."""
_LARGE_GIB = 0.5


class Flushes(NamedTuple):
    """Writes of large entries by one rank."""

    median_ms: float
    gib_per_write: float

    @property
    def move_nothing(self) -> bool:
        """Whether half of the flushes took too little time to move anything to a device."""
        return self.median_ms < NO_FLUSH_MS


def large_flushes(file: Document) -> Flushes | None:
    """Return the flushes of a rank; None without writes of 0.5 GiB or more on average."""
    stats = file.part("summary", "cache_stats")
    written = stats.number("tier_storage_kv_bytes_written_gb")
    writes = stats.number("offloads_storage") or stats.number("write_iops")
    median = stats.number("storage_write_device_p50_ms")
    if written is None or not writes or median is None or written / writes < _LARGE_GIB:
        return None
    return Flushes(median, written / writes)


def elapsed_s(file: Document) -> float | None:
    """Return the time by which a rank divided its bytes, in seconds."""
    return file.number("summary", "elapsed_time")


def greatest_latency_s(file: Document) -> float | None:
    """Return the longest time that a request of a rank took, in seconds."""
    found = [*file.numbers("end_to_end_latencies")]
    for _, level in file.items("summary", "qos_metrics"):
        slowest = level.number("latency_ms", "max")
        found += [] if slowest is None else [slowest / 1000]
    tail = file.number("summary", "end_to_end_latency_ms", "p9999")
    found += [] if tail is None else [tail / 1000]
    return max(found, default=None)
