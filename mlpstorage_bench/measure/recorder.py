"""What each worker saw, counted by itself and added up at the end.

A chunk counts when its system call ended inside the window; an entry's latency counts when the
entry ended inside. Spans of an entry: *device* is the time in which at least one of its system
calls was under way, with making it durable for writes (what the reference calls device latency);
*host* is the whole operation as the worker saw it, with opening the file and making or checking its
content; *wait* lies before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, NamedTuple

from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.units import MIB

Kind = Literal["read", "write"]
KINDS: tuple[Kind, ...] = ("read", "write")

_EVER = 1 << 63
SIZE_CLASSES: tuple[tuple[str, int | None], ...] = (
    ("under 1 MiB", MIB),
    ("1 to 16 MiB", 16 * MIB),
    ("16 to 256 MiB", 256 * MIB),
    ("256 MiB to 1 GiB", 1024 * MIB),
    ("1 GiB and more", None),
)
"""Name and upper bound (exclusive) of entries: one percentile over 1 MiB and 3 GiB says nothing."""


def size_class(size: int) -> str:
    """Return the name of the class that an entry of `size` bytes falls into."""
    return next(name for name, bound in SIZE_CLASSES if bound is None or size < bound)


class OperationKey(NamedTuple):
    """What operations are counted by."""

    tier: str
    kind: Kind
    size_class: str
    """Of the entry."""


@dataclass
class OperationStatistics:
    """All operations of one key."""

    moved_bytes: int = 0
    total_bytes: int = 0
    """Before and after the window, too."""
    repeated_bytes: int = 0
    """Of those moved in the window, those of reads that repeat an earlier one of their request."""
    chunks: int = 0
    chunks_seen_late: int = 0
    """Chunks that had ended when their lane looked, so that their spans are upper bounds."""
    seen_late_ns: int = 0
    """By how much these spans are too long at most, all together."""
    verified_chunks: int = 0
    """Chunks that were checked and found right."""
    submitted_bytes: int = 0
    """Of chunks whose call began between the two readings of the process's counters."""
    completed_bytes: int = 0
    """Of chunks whose call ended between those of the device's."""
    cut_off: int = 0
    """Entries whose operation was under way when the window closed."""
    carried_in: int = 0
    """Entries whose operation was under way when the window opened."""
    wait: Histogram = field(default_factory=Histogram)
    """Per entry: from when the operation was wanted to when its lane began with it."""
    chunk: Histogram = field(default_factory=Histogram)
    """Each chunk's time with the storage."""
    durability: Histogram = field(default_factory=Histogram)
    """Each fsync or fdatasync."""
    verification: Histogram = field(default_factory=Histogram)
    """Each check of a chunk."""
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

    @classmethod
    def total(cls, parts: Iterable[OperationStatistics]) -> OperationStatistics:
        """Return the sum."""
        total = cls()
        for part in parts:
            total.merge(part)
        return total

    def totals(self) -> OperationStatistics:
        """Return the same without the histograms' counts."""
        return replace(self, **{name: getattr(self, name).totals() for name in _SPANS})

    def to_dict(self) -> dict[str, Any]:
        """Return everything for JSON."""
        return {
            **{name: getattr(self, name) for name in _COUNTS},
            **{name: getattr(self, name).to_dict() for name in _SPANS},
        }


_SPANS = ("wait", "chunk", "durability", "verification", "device", "host")
_COUNTS = tuple(part.name for part in fields(OperationStatistics) if part.name not in _SPANS)


class EntryObserver:
    """Follows one entry's operation, chunk by chunk."""

    def __init__(
        self,
        statistics: OperationStatistics,
        window: Window,
        asked_ns: int,
        *,
        is_repeated: bool = False,
    ) -> None:
        self._statistics = statistics
        self._is_repeated = is_repeated
        self._window = window
        self._asked_ns = asked_ns
        self._started_ns = window.clock.now_ns()
        self._busy = _BusyTime()

    def chunk(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
        """Count a chunk that was moved; it may have ended up to `late_ns` before it was seen to."""
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
            statistics.chunks += 1
            statistics.chunk.record(ended_ns - started_ns)
            if late_ns:
                statistics.chunks_seen_late += 1
                statistics.seen_late_ns += late_ns

    def durable(self, started_ns: int, ended_ns: int) -> None:
        """Count the time that making data durable took."""
        self._busy.add(started_ns, ended_ns)
        if self._window.contains(ended_ns):
            self._statistics.durability.record(ended_ns - started_ns)

    def verified(self, started_ns: int, ended_ns: int) -> None:
        """Count a chunk that was checked."""
        if self._window.contains(ended_ns):
            self._statistics.verified_chunks += 1
            self._statistics.verification.record(ended_ns - started_ns)

    def done(self) -> None:
        """Count the whole entry, which has ended now."""
        now = self._window.clock.now_ns()
        if self._window.contains(now):
            self._statistics.wait.record(self._started_ns - self._asked_ns)
            self._statistics.device.record(self._busy.total_ns)
            self._statistics.host.record(now - self._started_ns)
        self._count_edges(now)

    def cut_off(self) -> None:
        """Take note that the entry's operation ends here, without its entry."""
        self._count_edges(self._window.clock.now_ns())

    def _count_edges(self, ended_ns: int) -> None:
        """Count the entry at each edge of the window at which it was under way."""
        window, started_ns = self._window, self._started_ns
        self._statistics.carried_in += started_ns < window.opened_ns <= ended_ns
        self._statistics.cut_off += started_ns < window.closes_ns <= ended_ns


class _BusyTime:
    """The length of a union of intervals, which come about nearly in the order of their ends.

    Old ones are added up, so that it takes no memory for each chunk of an entry: it is exact unless
    a chunk is with the storage while hundreds of others are, each after the other's end.
    """

    MOST = 512

    def __init__(self) -> None:
        self._intervals: list[tuple[int, int]] = []
        """Disjoint, in order."""
        self._older_ns = 0
        """The length of those that were before them."""
        self._begin_ns = -_EVER
        """Up to here all is added up."""

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
        if len(self._intervals) > self.MOST:
            old = self._intervals[: self.MOST // 2]
            del self._intervals[: self.MOST // 2]
            self._older_ns += sum(end - start for start, end in old)
            self._begin_ns = old[-1][1]

    @property
    def total_ns(self) -> int:
        return self._older_ns + sum(end - start for start, end in self._intervals)


class Recorder:
    """One worker's statistics."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.operations: dict[OperationKey, OperationStatistics] = {}

    def observe(
        self,
        tier: str,
        kind: Kind,
        size: int,
        asked_ns: int | None = None,
        *,
        is_repeated: bool = False,
    ) -> EntryObserver:
        """Return the observer for the operation on one entry that begins now.

        `asked_ns` is when it was wanted; now, unless said.
        """
        key = OperationKey(tier, kind, size_class(size))
        if key not in self.operations:
            self.operations[key] = OperationStatistics()
        asked_ns = self.window.clock.now_ns() if asked_ns is None else asked_ns
        return EntryObserver(self.operations[key], self.window, asked_ns, is_repeated=is_repeated)

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
