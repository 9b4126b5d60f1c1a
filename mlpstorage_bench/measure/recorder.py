"""What each worker saw, counted without locks and added up at the end.

A chunk counts when its system call ended inside the window; an entry's latency counts when the
entry ended inside. Spans of an entry: *device* is the sum of its system calls, plus making it
durable for writes (what the reference calls device latency); *host* is the whole operation as the
worker saw it, with opening the file and making or checking its content.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.window import Window

Kind = Literal["read", "write"]


@dataclass
class OperationStatistics:
    """All operations of one kind on one tier."""

    moved_bytes: int = 0
    chunks: int = 0
    verified_chunks: int = 0
    """Chunks that were checked and found right."""
    cut_off: int = 0
    """Entries whose operation was under way when the window closed."""
    chunk: Histogram = field(default_factory=Histogram)
    """The system call of each chunk."""
    durability: Histogram = field(default_factory=Histogram)
    verification: Histogram = field(default_factory=Histogram)
    device: Histogram = field(default_factory=Histogram)
    """Per entry."""
    host: Histogram = field(default_factory=Histogram)
    """Per entry."""

    def merge(self, other: OperationStatistics) -> None:
        """Add another's counts."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _SPANS:
            getattr(self, name).merge(getattr(other, name))

    def to_dict(self) -> dict[str, Any]:
        """Return everything for JSON."""
        return {
            **{name: getattr(self, name) for name in _COUNTS},
            **{name: getattr(self, name).to_dict() for name in _SPANS},
        }


_COUNTS = ("moved_bytes", "chunks", "verified_chunks", "cut_off")
_SPANS = ("chunk", "durability", "verification", "device", "host")


class EntryObserver:
    """Follows one entry's operation, chunk by chunk, into the statistics of its kind and tier."""

    def __init__(self, statistics: OperationStatistics, window: Window) -> None:
        self._statistics = statistics
        self._window = window
        self._device_ns = 0

    def chunk(self, size: int, started_ns: int, ended_ns: int) -> None:
        """Count a chunk whose system call has ended."""
        self._device_ns += ended_ns - started_ns
        if self._window.contains(ended_ns):
            self._statistics.moved_bytes += size
            self._statistics.chunks += 1
            self._statistics.chunk.record(ended_ns - started_ns)

    def durable(self, started_ns: int, ended_ns: int) -> None:
        """Count the time that making data durable took."""
        self._device_ns += ended_ns - started_ns
        if self._window.contains(ended_ns):
            self._statistics.durability.record(ended_ns - started_ns)

    def verified(self, started_ns: int, ended_ns: int) -> None:
        """Count a chunk that was checked."""
        if self._window.contains(ended_ns):
            self._statistics.verified_chunks += 1
            self._statistics.verification.record(ended_ns - started_ns)

    def done(self, started_ns: int, ended_ns: int) -> None:
        """Count the whole entry."""
        if self._window.contains(ended_ns):
            self._statistics.device.record(self._device_ns)
            self._statistics.host.record(ended_ns - started_ns)

    def cut_off(self) -> None:
        """Count the entry as one that was under way at the window's end."""
        self._statistics.cut_off += 1


class Recorder:
    """One worker's statistics, by tier and kind."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.operations: dict[tuple[str, Kind], OperationStatistics] = {}

    def observe(self, tier: str, kind: Kind) -> EntryObserver:
        """Return the observer for one entry's operation."""
        key = (tier, kind)
        if key not in self.operations:
            self.operations[key] = OperationStatistics()
        return EntryObserver(self.operations[key], self.window)

    @staticmethod
    def total(recorders: Iterable[Recorder]) -> dict[tuple[str, Kind], OperationStatistics]:
        """Return the sum of all workers' statistics."""
        totals: dict[tuple[str, Kind], OperationStatistics] = {}
        for recorder in recorders:
            for key, statistics in recorder.operations.items():
                totals.setdefault(key, OperationStatistics()).merge(statistics)
        return totals
