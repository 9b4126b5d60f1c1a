"""What one rank measured in one trial."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from mlpstorage_bench.kvcache.profile import GIB
from mlpstorage_bench.kvcache.site import STORAGE_TIER
from mlpstorage_bench.kvcache.statistics import RequestStatistics
from mlpstorage_bench.measure.audit import Audit, audit
from mlpstorage_bench.measure.ceiling import Ceiling, Rate
from mlpstorage_bench.measure.device import DeviceTraffic
from mlpstorage_bench.measure.recorder import Kind, OperationKey, OperationStatistics
from mlpstorage_bench.measure.traffic import Traffic
from mlpstorage_bench.measure.window import NS_PER_S
from mlpstorage_bench.storage.files import IoMode


@dataclass(frozen=True)
class RankTrial:
    """What one rank measured in one trial."""

    rank: int
    host: str
    opened_at: float
    """When the window opened (seconds since the epoch, this host's clock)."""
    window_s: float
    drain_s: float
    """From the window's close until the last operation in flight had ended."""
    closed_by: str
    """`duration`, `write limit`, or `another rank`."""
    io_mode: IoMode
    in_flight: int
    """Chunks that may be in flight at once: lanes by chunks in flight of one entry."""
    chunk_bytes: int
    requests: RequestStatistics
    operations: dict[OperationKey, OperationStatistics]
    """By tier, kind and size class."""
    entries: dict[str, int]
    """Resident at the end, by tier."""
    offloads: dict[str, int]
    """Entries placed in each tier because a higher one could not take or keep them."""
    evicted_bytes: int
    """What fell off the storage tier."""
    written_bytes: int
    """Of entries written to storage completely, from the trial's start to its end."""
    peak_storage_bytes: int
    """The most that was in use on storage at once, room reserved for entries included."""
    process_traffic: Traffic | None
    """What the kernel counted for this process over the window."""
    device_traffic: DeviceTraffic | None
    """What it counted for the block device under the cache directory, all processes."""
    cpu_s: float
    peak_rss_bytes: int
    """The most memory that the rank had resident since the trial's start."""
    corruption: str
    """The first read that found other data than was written; '' where all were right."""
    ceiling: Ceiling | None = None
    """The harness's own limit here; None where it was not measured."""

    def operation(self, tier: str, kind: Kind) -> OperationStatistics:
        """Return a tier's reads or writes of all sizes; empty ones where there were none."""
        return self._totals.get((tier, kind), OperationStatistics())

    @cached_property
    def _totals(self) -> dict[tuple[str, Kind], OperationStatistics]:
        totals: dict[tuple[str, Kind], OperationStatistics] = {}
        for key, part in self.operations.items():
            totals.setdefault((key.tier, key.kind), OperationStatistics()).merge(part)
        return totals

    @property
    def reported(self) -> Traffic:
        """What was moved from and to storage inside the window."""
        return Traffic(
            self.operation(STORAGE_TIER, "read").moved_bytes,
            self.operation(STORAGE_TIER, "write").moved_bytes,
        )

    @property
    def begun(self) -> Traffic:
        """What was begun between the readings of the kernel's counters: so a process is counted."""
        return Traffic(
            self.operation(STORAGE_TIER, "read").begun_bytes,
            self.operation(STORAGE_TIER, "write").begun_bytes,
        )

    @property
    def ended(self) -> Traffic:
        """What has ended between them: so a device counts."""
        return Traffic(
            self.operation(STORAGE_TIER, "read").ended_bytes,
            self.operation(STORAGE_TIER, "write").ended_bytes,
        )

    @property
    def edge_bytes(self) -> int:
        """What calls under way at a reading of the counters can make a difference of."""
        return self.in_flight * self.chunk_bytes

    @property
    def audit(self) -> Audit:
        """What is reported against what the kernel counted for this process."""
        return audit(
            self.begun, self.process_traffic, edge_bytes=self.edge_bytes, whose="this process"
        )

    @property
    def rate(self) -> Rate:
        """How fast the storage tier was, and how much of the time it was asked."""
        operations = [self.operation(STORAGE_TIER, kind) for kind in ("read", "write")]
        busy_ns = sum(o.chunk.sum_ns + o.durability.sum_ns for o in operations)
        return Rate(
            operations_per_s=sum(o.chunks for o in operations) / self.window_s,
            gib_s=self.reported.total / GIB / self.window_s,
            busy_share=busy_ns / NS_PER_S / (self.window_s * self.in_flight),
        )
