"""Statistics of operations on entries, by tier, kind and size class, which can be added up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, NamedTuple

from mlpstorage_bench.measure.coarse_histogram import CoarseCounter
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.units import MIB

Kind = Literal["read", "write"]
KINDS: tuple[Kind, ...] = ("read", "write")

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


STORAGE_TIER = "storage"
"""Name of the lowest tier: the storage under test."""


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
    submitting_bytes: int = 0
    """Bytes of chunks in flight at a reading of the process's counters, which may have them;
    none that are written to the page cache."""
    completing_bytes: int = 0
    """Bytes in flight at a reading of the device's counters, or cached and not synced then."""
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


def merge_operations(
    into: dict[OperationKey, OperationStatistics],
    operations: Mapping[OperationKey, OperationStatistics],
) -> None:
    """Add the statistics of each key to those in `into`."""
    for key, statistics in operations.items():
        into.setdefault(key, OperationStatistics()).merge(statistics)
