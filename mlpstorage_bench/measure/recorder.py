"""Statistics of operations, recorded per worker without locks and added up at the end.

A chunk counts if its system call ended inside the window; one that went to the page cache counts
if the sync that brought it to storage did. An entry's latency counts if the entry ended inside.
Spans of an entry: *device* is the time during which at least one of its system calls was in
progress, including the sync of writes (the reference calls it device latency); *host* is the whole
operation as seen by the worker, including opening the file and making or checking content; *wait*
is the time before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, NamedTuple

from mlpstorage_bench.measure.coarse_histogram import CoarseCounter
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.units import MIB

Kind = Literal["read", "write"]
KINDS: tuple[Kind, ...] = ("read", "write")

_LONG_AGO_NS = -(1 << 63)
SIZE_CLASSES: tuple[tuple[str, int | None], ...] = (
    ("under 1 MiB", MIB),
    ("1 to 16 MiB", 16 * MIB),
    ("16 to 256 MiB", 256 * MIB),
    ("256 MiB to 1 GiB", 1024 * MIB),
    ("1 GiB and more", None),
)
"""Name and exclusive upper bound of each class: a percentile over entries of 1 MiB and of 3 GiB is
meaningless."""


def size_class(size: int) -> str:
    """Return the size class of an entry of `size` bytes."""
    return next(name for name, bound in SIZE_CLASSES if bound is None or size < bound)


class OperationKey(NamedTuple):
    """Key by which operations are grouped."""

    tier: str
    kind: Kind
    size_class: str
    """Size class of the entry."""


class OutsideWindow:
    """Spans that ended outside of the window: for series over time, and in no figure."""

    def __init__(self) -> None:
        self.device = CoarseCounter()
        self.chunk = CoarseCounter()


@dataclass
class OperationStatistics:
    """Statistics of all operations with one key."""

    moved_bytes: int = 0
    """Bytes moved inside the window."""
    total_bytes: int = 0
    """Bytes moved at any time."""
    repeated_bytes: int = 0
    """Part of `moved_bytes`: reads that repeat an earlier read of the same request."""
    copied_bytes: int = 0
    """Part of `moved_bytes`: copies between tiers, which no request asked for."""
    chunks: int = 0
    late_completions: int = 0
    """Chunks that may have ended before their lane polled: their spans are upper bounds."""
    latency_overestimate_ns: int = 0
    """Sum of the bounds by which these spans may be too long."""
    verified_chunks: int = 0
    """Chunks checked successfully."""
    submitted_bytes: int = 0
    """Bytes of chunks that were submitted between the two readings of the process's counters."""
    completed_bytes: int = 0
    """Bytes of chunks that completed between the two readings of the device's counters."""
    in_flight_at_close: int = 0
    """Entries whose operation was in progress when the window closed."""
    in_flight_at_open: int = 0
    """Entries whose operation was in progress when the window opened."""
    wait: Histogram = field(default_factory=Histogram)
    """Per entry: time from the request of the operation to its start by a lane."""
    chunk: Histogram = field(default_factory=Histogram)
    """Per chunk: time of its transfer."""
    block: Histogram = field(default_factory=Histogram)
    """Per block of an entry: time from the first submission of its chunks to their last end."""
    durability: Histogram = field(default_factory=Histogram)
    """Per fsync or fdatasync."""
    verification: Histogram = field(default_factory=Histogram)
    """Per check of a chunk."""
    device: Histogram = field(default_factory=Histogram)
    """Per entry: time with at least one system call in progress."""
    host: Histogram = field(default_factory=Histogram)
    """Per entry: time of the whole operation."""
    host_only: Histogram = field(default_factory=Histogram)
    """Per entry: time of the operation without any system call in progress."""
    outside: OutsideWindow = field(init=False, default_factory=OutsideWindow)
    """The lane's own: `merge` and `to_dict` leave it out."""

    def merge(self, other: OperationStatistics) -> None:
        """Add another object's counts."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _SPANS:
            getattr(self, name).merge(getattr(other, name))

    @classmethod
    def total(cls, parts: Iterable[OperationStatistics]) -> OperationStatistics:
        """Return the sum."""
        total = cls()
        for part in parts:
            total.merge(part)
        return total

    def totals(self) -> OperationStatistics:
        """Return a copy whose histograms have totals only."""
        return replace(self, **{name: getattr(self, name).totals() for name in _SPANS})

    def to_dict(self) -> dict[str, Any]:
        """Return all fields for JSON."""
        return {
            **{name: getattr(self, name) for name in _COUNTS},
            **{name: getattr(self, name).to_dict() for name in _SPANS},
        }


_SPANS = ("wait", "chunk", "block", "durability", "verification", "device", "host", "host_only")
_COUNTS = tuple(
    part.name for part in fields(OperationStatistics) if part.init and part.name not in _SPANS
)


class EntryObserver:
    """Records one operation on an entry, chunk by chunk."""

    def __init__(
        self,
        statistics: OperationStatistics,
        window: Window,
        requested_ns: int,
        *,
        is_repeated: bool = False,
        is_copy: bool = False,
        block_bytes: int | None = None,
    ) -> None:
        self._statistics = statistics
        self._blocks = None if block_bytes is None else _Blocks(block_bytes)
        self._is_repeated = is_repeated
        self._is_copy = is_copy
        self._window = window
        self._requested_ns = requested_ns
        self._started_ns = window.clock.now_ns()
        self._busy = _BusyTime()

    def chunk(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
        """Count a chunk, which may have ended up to `late_ns` before `ended_ns`."""
        window, statistics = self._window, self._statistics
        self._busy.add(started_ns, ended_ns)
        statistics.total_bytes += size
        if window.process_counted.contains(started_ns):
            statistics.submitted_bytes += size
        if window.device_counted.contains(ended_ns):
            statistics.completed_bytes += size
        if window.contains(ended_ns):
            statistics.moved_bytes += size
            statistics.repeated_bytes += size * self._is_repeated
            statistics.copied_bytes += size * self._is_copy
            statistics.chunks += 1
            statistics.chunk.record(ended_ns - started_ns)
            if late_ns:
                statistics.late_completions += 1
                statistics.latency_overestimate_ns += late_ns
        else:
            statistics.outside.chunk.record(ended_ns - started_ns)
        if self._blocks is not None:
            block_ns = self._blocks.add(size, started_ns, ended_ns)
            if block_ns is not None and window.contains(ended_ns):
                statistics.block.record(block_ns)

    def cached(self, size: int, started_ns: int, ended_ns: int) -> None:
        """Count the span of a chunk's write to the page cache; its bytes count when synced."""
        self._busy.add(started_ns, ended_ns)
        if self._window.process_counted.contains(started_ns):
            self._statistics.submitted_bytes += size
        if self._window.contains(ended_ns):
            self._statistics.chunks += 1
            self._statistics.chunk.record(ended_ns - started_ns)
        else:
            self._statistics.outside.chunk.record(ended_ns - started_ns)

    def durable(self, started_ns: int, ended_ns: int, cached_bytes: int = 0) -> None:
        """Count a sync of written data, and the cached bytes that are on storage from then on."""
        window, statistics = self._window, self._statistics
        self._busy.add(started_ns, ended_ns)
        statistics.total_bytes += cached_bytes
        if window.device_counted.contains(ended_ns):
            statistics.completed_bytes += cached_bytes
        if window.contains(ended_ns):
            statistics.moved_bytes += cached_bytes
            statistics.copied_bytes += cached_bytes * self._is_copy
            statistics.durability.record(ended_ns - started_ns)

    def verified(self, started_ns: int, ended_ns: int) -> None:
        """Count a successful check of a chunk."""
        if self._window.contains(ended_ns):
            self._statistics.verified_chunks += 1
            self._statistics.verification.record(ended_ns - started_ns)

    def done(self) -> None:
        """Count the entry as complete now."""
        now = self._window.clock.now_ns()
        if self._window.contains(now):
            self._statistics.wait.record(self._started_ns - self._requested_ns)
            self._statistics.device.record(self._busy.total_ns)
            self._statistics.host.record(now - self._started_ns)
            self._statistics.host_only.record(now - self._started_ns - self._busy.total_ns)
        else:
            self._statistics.outside.device.record(self._busy.total_ns)
        self._count_edges(now)

    def cut_off(self) -> None:
        """Record that the operation ends now with an incomplete entry."""
        self._count_edges(self._window.clock.now_ns())

    def _count_edges(self, ended_ns: int) -> None:
        """Count the entry at each edge of the window at which its operation was in progress."""
        window, started_ns = self._window, self._started_ns
        self._statistics.in_flight_at_open += started_ns < window.opened_ns <= ended_ns
        self._statistics.in_flight_at_close += started_ns < window.closes_ns <= ended_ns


class _Blocks:
    """Blocks of an entry: as many chunks, in the order of their ends, as have a block's size.

    Chunks that are left at the entry's end are no block.
    """

    def __init__(self, block_bytes: int) -> None:
        self._block_bytes = block_bytes
        self._moved = 0
        self._began_ns = 0

    def add(self, size: int, start: int, end: int) -> int | None:
        """Add a chunk; return the time of the block that it completes, None if it does not."""
        self._began_ns = min(self._began_ns, start) if self._moved else start
        self._moved += size
        if self._moved < self._block_bytes:
            return None
        self._moved = 0
        return end - self._began_ns


class _BusyTime:
    """Length of a union of intervals, which are added approximately in the order of their ends.

    Old intervals are summed up, so that memory does not grow with the number of chunks. The result
    is exact unless one chunk is in flight while hundreds of others follow each other.
    """

    MAX_INTERVALS = 512

    def __init__(self) -> None:
        self._intervals: list[tuple[int, int]] = []
        """Disjoint intervals, in order."""
        self._older_ns = 0
        """Total length of older intervals."""
        self._begin_ns = _LONG_AGO_NS
        """Time up to which intervals are summed up."""

    def add(self, start: int, end: int) -> None:
        start = max(start, self._begin_ns)
        if end < start:
            return
        later = []
        while self._intervals and self._intervals[-1][1] >= start:
            other_start, other_end = self._intervals.pop()
            if other_start > end:
                later.append((other_start, other_end))
            else:
                start, end = min(start, other_start), max(end, other_end)
        self._intervals.append((start, end))
        self._intervals += reversed(later)
        if len(self._intervals) > self.MAX_INTERVALS:
            old = self._intervals[: self.MAX_INTERVALS // 2]
            del self._intervals[: self.MAX_INTERVALS // 2]
            self._older_ns += sum(end - start for start, end in old)
            self._begin_ns = old[-1][1]

    @property
    def total_ns(self) -> int:
        return self._older_ns + sum(end - start for start, end in self._intervals)


class Recorder:
    """One worker's statistics."""

    def __init__(self, window: Window, block_bytes: int | None = None) -> None:
        self.window = window
        self._block_bytes = block_bytes
        """Size of blocks whose times are recorded; None: of none."""
        self.operations: dict[OperationKey, OperationStatistics] = {}

    def observe(
        self,
        tier: str,
        kind: Kind,
        size: int,
        requested_ns: int | None = None,
        *,
        is_repeated: bool = False,
        is_copy: bool = False,
    ) -> EntryObserver:
        """Return the observer of an operation on one entry that starts now.

        `requested_ns` is the time of the request; None: now.
        """
        key = OperationKey(tier, kind, size_class(size))
        if key not in self.operations:
            self.operations[key] = OperationStatistics()
        requested_ns = self.window.clock.now_ns() if requested_ns is None else requested_ns
        return EntryObserver(
            self.operations[key],
            self.window,
            requested_ns,
            is_repeated=is_repeated,
            is_copy=is_copy,
            block_bytes=self._block_bytes,
        )

    @staticmethod
    def total(recorders: Iterable[Recorder]) -> dict[OperationKey, OperationStatistics]:
        """Return the sum of all workers' statistics."""
        totals: dict[OperationKey, OperationStatistics] = {}
        for recorder in recorders:
            merge_operations(totals, recorder.operations)
        return totals


def merge_operations(
    into: dict[OperationKey, OperationStatistics],
    operations: Mapping[OperationKey, OperationStatistics],
) -> None:
    """Add the statistics of each key to those in `into`."""
    for key, statistics in operations.items():
        into.setdefault(key, OperationStatistics()).merge(statistics)
