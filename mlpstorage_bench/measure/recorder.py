"""Statistics of operations, recorded per worker without locks and added up at the end.

A chunk counts if its system call ended inside the window; one that went to the page cache counts
if the sync that brought it to storage did. An entry's latency counts if the entry ended inside.
Spans of an entry: *device* is the time during which at least one of its system calls was in
progress, including the sync of writes (the reference calls it device latency); *host* is the whole
operation as seen by the worker, including opening the file and making or checking content; *wait*
is the time before it.
"""

from __future__ import annotations

from collections.abc import Iterable

from mlpstorage_bench.measure.busy_time import BusyTime
from mlpstorage_bench.measure.operation_statistics import (
    Kind,
    OperationKey,
    OperationStatistics,
    merge_operations,
    size_class,
)
from mlpstorage_bench.measure.window import Interval, Window


class EntryObserver:
    """Records one operation on an entry, chunk by chunk.

    Lanes spend time in it between transfers: comparisons are written out instead of called.
    """

    __slots__ = (
        "_block_began_ns",
        "_block_bytes",
        "_block_moved",
        "_busy",
        "_busy_from_ns",
        "_busy_until_ns",
        "_cached_bytes",
        "_cached_from_ns",
        "_requested_ns",
        "_started_ns",
        "_statistics",
        "_window",
        "is_copy",
        "is_repeated",
    )

    def __init__(
        self,
        statistics: OperationStatistics,
        window: Window,
        requested_ns: int,
        started_ns: int | None = None,
        block_bytes: int | None = None,
        *,
        is_repeated: bool = False,
        is_copy: bool = False,
    ) -> None:
        """Begin at `started_ns`; None: now."""
        self._statistics = statistics
        self._block_bytes = block_bytes
        self._block_moved = 0
        self._block_began_ns: int
        """When the current block began; unset before its first chunk."""
        self.is_repeated = is_repeated
        self.is_copy = is_copy
        self._window = window
        self._requested_ns = requested_ns
        self._started_ns = window.clock.now_ns() if started_ns is None else started_ns
        self._busy: BusyTime | None = None
        """None while there is at most one interval, which most operations never exceed."""
        self._busy_from_ns: int | None = None
        self._busy_until_ns = 0
        self._cached_bytes = 0
        """Bytes in the page cache that no sync has brought on."""
        self._cached_from_ns: int
        """When the first bytes came to the page cache; unset without any."""

    def chunk(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
        """Count a chunk, which may have ended up to `late_ns` before `ended_ns`."""
        window, statistics = self._window, self._statistics
        if self._busy_from_ns is None and started_ns <= ended_ns:
            self._busy_from_ns, self._busy_until_ns = started_ns, ended_ns
        else:
            self._add_busy(started_ns, ended_ns)
        statistics.total_bytes += size
        process, device = window.process_counted, window.device_counted
        if process.start_ns <= started_ns < process.end_ns:
            statistics.submitted_bytes += size
        if device.start_ns <= ended_ns < device.end_ns:
            statistics.completed_bytes += size
        if not (
            process.start_ns <= started_ns
            and device.start_ns <= started_ns
            and ended_ns < process.end_ns
            and ended_ns < device.end_ns
        ):
            statistics.submitting_bytes += size * _is_read(process, started_ns, ended_ns)
            statistics.completing_bytes += size * _is_read(device, started_ns, ended_ns)
        is_inside = window.opened_ns <= ended_ns < window.closes_ns
        if is_inside:
            statistics.moved_bytes += size
            if self.is_repeated:
                statistics.repeated_bytes += size
            if self.is_copy:
                statistics.copied_bytes += size
            statistics.chunks += 1
            statistics.chunk.record(ended_ns - started_ns)
            if late_ns:
                statistics.late_completions += 1
                statistics.latency_overestimate_ns += late_ns
        else:
            statistics.outside.chunk.record(ended_ns - started_ns)
        if self._block_bytes is not None:
            self._add_to_block(self._block_bytes, size, started_ns, ended_ns)

    def cached(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
        """Count the span of a chunk's write to the page cache; its bytes count when synced."""
        self._add_busy(started_ns, ended_ns)
        if not self._cached_bytes:
            self._cached_from_ns = started_ns
        self._cached_bytes += size
        if self._window.process_counted.contains(started_ns):
            self._statistics.submitted_bytes += size
        if self._window.contains(ended_ns):
            self._statistics.chunks += 1
            self._statistics.chunk.record(ended_ns - started_ns)
            self._count_late(late_ns)
        else:
            self._statistics.outside.chunk.record(ended_ns - started_ns)

    def durable(
        self, started_ns: int, ended_ns: int, cached_bytes: int = 0, late_ns: int = 0
    ) -> None:
        """Count a sync of written data, and the cached bytes that are on storage from then on."""
        window, statistics = self._window, self._statistics
        self._add_busy(started_ns, ended_ns)
        if cached_bytes:
            statistics.total_bytes += cached_bytes
            if window.device_counted.contains(ended_ns):
                statistics.completed_bytes += cached_bytes
            self._count_written_back(cached_bytes, ended_ns)
        if window.opened_ns <= ended_ns < window.closes_ns:
            statistics.moved_bytes += cached_bytes
            statistics.copied_bytes += cached_bytes * self.is_copy
            statistics.durability.record(ended_ns - started_ns)
            self._count_late(late_ns)

    def verified(self, started_ns: int, ended_ns: int) -> None:
        """Count a successful check of a chunk."""
        window = self._window
        if window.opened_ns <= ended_ns < window.closes_ns:
            statistics = self._statistics
            statistics.verified_chunks += 1
            statistics.verification.record(ended_ns - started_ns)

    def done(self, ended_ns: int | None = None) -> None:
        """Count the entry as complete at `ended_ns`; None: now."""
        window, statistics, started_ns = self._window, self._statistics, self._started_ns
        if ended_ns is None:
            ended_ns = window.clock.now_ns()
        if self._busy is not None:
            busy_ns = self._busy.total_ns
        elif self._busy_from_ns is not None:
            busy_ns = self._busy_until_ns - self._busy_from_ns
        else:
            busy_ns = 0
        opened_ns, closes_ns = window.opened_ns, window.closes_ns
        if opened_ns <= ended_ns < closes_ns:
            host_ns = ended_ns - started_ns
            statistics.wait.record(started_ns - self._requested_ns)
            statistics.device.record(busy_ns)
            statistics.host.record(host_ns)
            statistics.host_only.record(host_ns - busy_ns)
            if started_ns < opened_ns:
                statistics.in_flight_at_open += 1
        else:
            statistics.outside.device.record(busy_ns)
            self._count_edges(ended_ns)

    def cut_off(self, ended_ns: int | None = None) -> None:
        """Record that the operation ends with an incomplete entry at `ended_ns`; None: now."""
        if ended_ns is None:
            ended_ns = self._window.clock.now_ns()
        self._count_edges(ended_ns)
        self._count_written_back(self._cached_bytes, ended_ns)

    def _count_written_back(self, size: int, ended_ns: int) -> None:
        """Count bytes that were in the page cache, if the device's counters were read meanwhile.

        The kernel may have written them back before a sync, or before the lane stopped.
        """
        if not self._cached_bytes:
            return
        size = min(size, self._cached_bytes)
        self._cached_bytes -= size
        if _is_read(self._window.device_counted, self._cached_from_ns, ended_ns):
            self._statistics.completing_bytes += size

    def _count_edges(self, ended_ns: int) -> None:
        """Count the entry at each edge of the window at which its operation was in progress."""
        window, started_ns = self._window, self._started_ns
        self._statistics.in_flight_at_open += started_ns < window.opened_ns <= ended_ns
        self._statistics.in_flight_at_close += started_ns < window.closes_ns <= ended_ns

    def _count_late(self, late_ns: int) -> None:
        """Count an end inside the window that was seen late, if it was."""
        if late_ns:
            self._statistics.late_completions += 1
            self._statistics.latency_overestimate_ns += late_ns

    def _add_busy(self, start: int, end: int) -> None:
        """Add an interval in which a system call was in progress."""
        if self._busy is not None:
            self._busy.add(start, end)
        elif start > end:
            return
        elif self._busy_from_ns is None:
            self._busy_from_ns, self._busy_until_ns = start, end
        else:
            self._busy = BusyTime(self._busy_from_ns, self._busy_until_ns)
            self._busy.add(start, end)

    def _add_to_block(self, block_bytes: int, size: int, start: int, end: int) -> None:
        """Add a chunk to a block, and record the block that it completes, if it does.

        A block is as many chunks, in the order of their ends, as have its size. Chunks that are
        left at the entry's end are none.
        """
        began_ns = min(self._block_began_ns, start) if self._block_moved else start
        moved = self._block_moved + size
        if moved < block_bytes:
            self._block_moved, self._block_began_ns = moved, began_ns
            return
        self._block_moved = 0
        if self._window.contains(end):
            self._statistics.block.record(end - began_ns)


def _is_read(counted: Interval, start_ns: int, end_ns: int) -> bool:
    """Return whether a counter was read between two moments, at an edge of its interval."""
    return start_ns < counted.start_ns <= end_ns or start_ns < counted.end_ns <= end_ns


class Recorder:
    """One worker's statistics."""

    def __init__(self, window: Window, block_bytes: int | None = None) -> None:
        self.window = window
        self._block_bytes = block_bytes
        """Size of blocks whose times are recorded; None: of none."""
        self.operations: dict[OperationKey, OperationStatistics] = {}
        self._known: dict[tuple[str, Kind, int], OperationStatistics] = {}
        """The same statistics by tier, kind and the number of bits of the size: all sizes with as
        many bits are in one class."""

    def observe(
        self,
        tier: str,
        kind: Kind,
        size: int,
        requested_ns: int | None = None,
        *,
        is_repeated: bool = False,
        is_copy: bool = False,
        started_ns: int | None = None,
    ) -> EntryObserver:
        """Return the observer of an operation on one entry that starts at `started_ns`; None: now.

        `requested_ns` is the time of the request; None: that of the start.
        """
        known = (tier, kind, size.bit_length())
        statistics = self._known.get(known)
        if statistics is None:
            key = OperationKey(tier, kind, size_class(size))
            statistics = self.operations.setdefault(key, OperationStatistics())
            self._known[known] = statistics
        if started_ns is None:
            started_ns = self.window.clock.now_ns()
        if requested_ns is None:
            requested_ns = started_ns
        window, block_bytes = self.window, self._block_bytes
        observer = EntryObserver(statistics, window, requested_ns, started_ns, block_bytes)
        observer.is_repeated, observer.is_copy = is_repeated, is_copy
        return observer

    @staticmethod
    def total(recorders: Iterable[Recorder]) -> dict[OperationKey, OperationStatistics]:
        """Return the sum of all workers' statistics."""
        totals: dict[OperationKey, OperationStatistics] = {}
        for recorder in recorders:
            merge_operations(totals, recorder.operations)
        return totals
