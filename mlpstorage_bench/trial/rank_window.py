"""Record of one rank's measurements in the window of a trial of any benchmark type."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.measure.audit import Audit, audit
from mlpstorage_bench.measure.ceiling import Ceiling, Rate
from mlpstorage_bench.measure.clock_offset import WindowEdges
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.device import DeviceTraffic, UnderlyingTraffic
from mlpstorage_bench.measure.lane_time import LaneTime
from mlpstorage_bench.measure.operation_statistics import (
    STORAGE_TIER,
    Kind,
    OperationKey,
    OperationStatistics,
)
from mlpstorage_bench.measure.series_slots import SlotSeries
from mlpstorage_bench.measure.source import SourceTraffic
from mlpstorage_bench.measure.stragglers import Work
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.storage.kernel_queue import QueueKind
from mlpstorage_bench.units import GIB, NS_PER_S

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_BUFFERED_WRITES = (
    "the kernel counts what a process writes when it is in the page cache, not when it is written "
    "back"
)


@dataclass(frozen=True, kw_only=True)
class RankWindow:
    """Record of one rank in the window of one trial."""

    rank: int
    host: str
    opened_at: float
    """When the window opened (seconds since the epoch, this host's clock)."""
    window_s: float
    drain_s: float
    """Time from the window's close until the last operation in flight had ended."""
    closed_by: str
    """Why the window closed, such as `duration`, `another rank` or `failure`."""
    io_mode: IoMode
    in_flight: int
    """Chunks that all lanes together can have in flight at once."""
    chunk_bytes: int
    operations: dict[OperationKey, OperationStatistics]
    """Operations by tier, kind and size class."""
    process_traffic: Traffic | None
    """Bytes that the kernel counted for this process over the window."""
    device_traffic: DeviceTraffic | None
    """Traffic of the block device under the cache directory, all processes."""
    cpu_s: float | None
    """CPU time; None in simulated time."""
    peak_rss_bytes: int
    """Most memory that the rank had resident since the trial's start."""
    corruption: str
    """First read that found other data than was written; '' without any."""
    throttled_share: float | None = None
    """Share of the window in which the process was denied a processor; None if unknown."""
    failure: MlpsError | None = None
    """Error of a lane that closed the window and ended the trial; None without one."""
    underlying_traffic: UnderlyingTraffic | None = None
    """Traffic at the bottom; None if that is the device itself, or is unknown."""
    mount_traffic: SourceTraffic | None = None
    """Traffic of the network filesystem that has the files; None without one."""
    counted_s: float | None = None
    """Time between the two readings of the storage's counters; None in simulated time.

    Where the window ends with the work, it is longer than the windows of all ranks.
    """
    lane_time: LaneTime | None = None
    """Uses of the lanes' time in the window; None if the kernel shows too little."""
    ceiling: Ceiling | None = None
    """Limit of the harness on this host; None if it was not measured."""
    series: SlotSeries | None = None
    """The trial by second; None in simulated time, and in `totals`."""
    queue_unavailable_reason: str = ""
    """Reason why lanes had no queue, and moved one chunk at a time; '' where they had one."""
    huge_page_share: float | None = None
    """Share of the buffers in huge pages; None if unknown, or in simulated time."""
    lanes: int = 1
    """Number of concurrent operations."""
    io_threads: int = 1
    """Threads that served the lanes."""
    io_queue: QueueKind | None = None
    """Kind of their queues; None where chunks were moved by plain calls."""
    io_queue_refusal: str = ""
    """Why the host gave no better queue; '' if it did, or none was wanted."""
    movers: int = 1
    """Threads that move chunks: IO threads over their queues; with plain calls, one per lane."""
    edges: WindowEdges | None = None
    """Edges of the window in rank 0's time; None in simulated time."""
    started_at: float = 0.0
    """When the trial began on this rank (seconds since the epoch, this host's clock)."""

    @classmethod
    def _joined(cls, window: RankWindow, own: DataclassInstance) -> Self:
        """Return a record that has the fields of a window, and `own` ones of a benchmark type.

        Each type has a method with the class of its own fields, so that they are checked.
        """
        return cls(
            **{one.name: getattr(window, one.name) for one in fields(RankWindow)},
            **{one.name: getattr(own, one.name) for one in fields(own)},
        )

    def totals(self) -> Self:
        """Return the record without the histograms' counts, for rank 0.

        The counts themselves are added up on the way to it, and the series.
        """
        return replace(
            self,
            operations={key: operation.totals() for key, operation in self.operations.items()},
            series=None,
        )

    def work_of(self, operations: int, *, users: int = 1, seconds: float = 1.0) -> Work:
        """Return so many operations on storage as work, to be compared with that of other ranks.

        `seconds` is the time in which they moved the bytes, where each rank has its own.
        """
        return Work(
            rank=self.rank,
            host=self.host,
            users=users,
            moved_bytes=self.reported.total,
            operations=operations,
            busy_s=sum(one.host.sum_ns for one in self.stored) / NS_PER_S,
            seconds=seconds,
        )

    def operation(self, tier: str, kind: Kind) -> OperationStatistics:
        """Return a tier's reads or writes of all sizes; empty if there were none."""
        return self._totals.get((tier, kind)) or OperationStatistics()

    @cached_property
    def stored(self) -> tuple[OperationStatistics, OperationStatistics]:
        """Reads and writes of storage, of all sizes."""
        return self.operation(STORAGE_TIER, "read"), self.operation(STORAGE_TIER, "write")

    @cached_property
    def _totals(self) -> dict[tuple[str, Kind], OperationStatistics]:
        totals: dict[tuple[str, Kind], OperationStatistics] = {}
        for key, part in self.operations.items():
            totals.setdefault((key.tier, key.kind), OperationStatistics()).merge(part)
        return totals

    @cached_property
    def reported(self) -> Traffic:
        """Bytes moved from and to storage inside the window."""
        reads, writes = self.stored
        return Traffic(reads.moved_bytes, writes.moved_bytes)

    @property
    def submitted(self) -> Traffic:
        """Bytes submitted between two readings of the process's counters."""
        reads, writes = self.stored
        return Traffic(reads.submitted_bytes, writes.submitted_bytes)

    @property
    def completed(self) -> Traffic:
        """Bytes completed between two readings of the device's counters."""
        reads, writes = self.stored
        return Traffic(reads.completed_bytes, writes.completed_bytes)

    @property
    def being_submitted(self) -> Traffic:
        """Bytes in flight at a reading of the process's counters that may just be submitted.

        At most a chunk of each lane is; in the page cache, io_uring may submit each of them to the
        device only after its call.
        """
        chunks = self.lanes if self.io_mode == "direct" else self.in_flight
        most, (reads, writes) = chunks * self.chunk_bytes, self.stored
        return Traffic(min(most, reads.submitting_bytes), min(most, writes.submitting_bytes))

    @property
    def doubtful(self) -> Traffic:
        """Bytes in flight at a reading of the device's counters, which may have counted some."""
        reads, writes = self.stored
        return Traffic(reads.completing_bytes, writes.completing_bytes)

    @property
    def audit(self) -> Audit:
        """Reported bytes against the kernel's count for this process.

        The kernel counts a write of a process when it is in the page cache, which proves nothing:
        except in direct mode, only reads are compared.
        """
        reported, counted = self.submitted, self.process_traffic
        if self.io_mode != "direct" and counted is not None:
            if not reported.read_bytes and reported.write_bytes:
                return Audit(None, "not measurable", _BUFFERED_WRITES)
            reported, counted = replace(reported, write_bytes=0), replace(counted, write_bytes=0)
        return audit(
            reported,
            counted,
            doubtful=self.being_submitted,
            counted_by="this process",
        )

    def per_s(self, amount: float) -> float | None:
        """Return an amount per second of the window; None if no time passed in it."""
        return amount / self.window_s if self.window_s else None

    @property
    def rate(self) -> Rate | None:
        """Speed of the storage tier, and the share of time that calls took; None without time."""
        if not self.window_s:
            return None
        busy_ns = sum(o.chunk.sum_ns + o.durability.sum_ns for o in self.stored)
        return Rate(
            operations_per_s=sum(o.chunks for o in self.stored) / self.window_s,
            gib_s=self.reported.total / GIB / self.window_s,
            busy_share=busy_ns / NS_PER_S / (self.window_s * self.in_flight),
        )
