"""What one rank measured in one trial."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.kvcache.cache.tier import STORAGE_TIER, TierAccount
from mlpstorage_bench.kvcache.config.request_counters import RequestCounters
from mlpstorage_bench.measure.audit import Audit, audit
from mlpstorage_bench.measure.ceiling import Ceiling, Rate
from mlpstorage_bench.measure.clock_offset import WindowEdges
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.device import DeviceTraffic
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.recorder import Kind, OperationKey, OperationStatistics
from mlpstorage_bench.measure.steadiness import Steadiness
from mlpstorage_bench.measure.stragglers import Work
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.units import GIB, NS_PER_S

FAILURE = "failure"
"""What closes a window in which a lane cannot go on."""


@dataclass(frozen=True)
class Preconditioning:
    """What was written before anything else, for the storage to be in its steady state."""

    seconds: float
    written_bytes: int
    steadiness: Steadiness | None
    """Of the write bandwidth, at the end; None where there was too little of it to tell."""


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
    """`duration`, `write limit`, `number of bytes`, `number of requests`, `another rank`, or
    `failure`."""
    io_mode: IoMode
    in_flight: int
    """Chunks that could be in flight at once: of all lanes together."""
    chunk_bytes: int
    requests: RequestCounters
    arrived: int
    """Requests that became due inside the window."""
    unserved: int
    """Requests that were due when the window closed, and that no lane had taken."""
    lateness: Histogram | None
    """Of the open loop: from when a request was due to when a lane took it, or, of those that none
    did, to the window's close."""
    operations: dict[OperationKey, OperationStatistics]
    """By tier, kind and size class."""
    tiers: dict[str, TierAccount]
    """What became of the entries, from the trial's start to its end."""
    process_traffic: Traffic | None
    """What the kernel counted for this process over the window."""
    device_traffic: DeviceTraffic | None
    """What it counted for the block device under the cache directory, all processes."""
    cpu_s: float | None
    """None where nothing was moved in truth."""
    peak_rss_bytes: int
    """The most memory that the rank had resident since the trial's start."""
    corruption: str
    """The first read that found other data than was written; '' where all were right."""
    failure: MlpsError | None = None
    """What closed the window, and ended the trial, where a lane could not go on."""
    ceiling: Ceiling | None = None
    """The harness's own limit here; None where it was not measured."""
    preconditioning: Preconditioning | None = None
    warm_up: Steadiness | None = None
    """How steady bandwidth was when the window opened, where that was waited for."""
    steadiness: Steadiness | None = None
    """How steady bandwidth was inside the window; None where that is too short to tell."""
    one_at_a_time: str = ""
    """Why lanes had no queue, and moved one chunk after another; '' where they had."""
    huge_page_share: float | None = None
    """Of the buffers' memory; None where the kernel does not say, or nothing was moved."""
    users: int = 0
    lanes: int = 1
    """Operations at once, each of one thread."""
    edges: WindowEdges | None = None
    """When the window opened and closed, in rank 0's time; None where time was simulated."""
    is_simulated: bool = False
    """No storage was there: the figures are what the workload asks for."""

    def operation(self, tier: str, kind: Kind) -> OperationStatistics:
        """Return a tier's reads or writes of all sizes; empty ones where there were none."""
        return self._totals.get((tier, kind), OperationStatistics())

    def totals(self) -> RankTrial:
        """Return the same without the histograms' counts: what rank 0 needs of each rank.

        The counts themselves are added up on the way to it (`PooledHistograms`).
        """
        return replace(
            self,
            requests=self.requests.totals(),
            lateness=None if self.lateness is None else self.lateness.totals(),
            operations={key: operation.totals() for key, operation in self.operations.items()},
        )

    @property
    def work(self) -> Work:
        """What the rank did on storage, to be held against others."""
        operations = [self.operation(STORAGE_TIER, kind) for kind in ("read", "write")]
        return Work(
            rank=self.rank,
            host=self.host,
            users=self.users,
            moved_bytes=self.reported.total,
            operations=sum(operation.host.count for operation in operations),
            busy_s=sum(operation.host.sum_ns for operation in operations) / NS_PER_S,
        )

    @property
    def storage(self) -> TierAccount:
        """What became of the entries on storage."""
        return self.tiers[STORAGE_TIER]

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
    def submitted(self) -> Traffic:
        """What was begun between the readings of the kernel's counters: so a process is counted."""
        return Traffic(
            self.operation(STORAGE_TIER, "read").submitted_bytes,
            self.operation(STORAGE_TIER, "write").submitted_bytes,
        )

    @property
    def completed(self) -> Traffic:
        """What has ended between them: so a device counts."""
        return Traffic(
            self.operation(STORAGE_TIER, "read").completed_bytes,
            self.operation(STORAGE_TIER, "write").completed_bytes,
        )

    @property
    def being_submitted_bytes(self) -> int:
        """What may be amid being begun at a reading of the counters: a chunk of each lane."""
        return self.lanes * self.chunk_bytes

    @property
    def in_flight_bytes(self) -> int:
        """What may have ended in part, or unseen, at one: all that may be in flight."""
        return self.in_flight * self.chunk_bytes

    @property
    def audit(self) -> Audit:
        """What is reported against what the kernel counted for this process."""
        return audit(
            self.submitted,
            self.process_traffic,
            doubtful_bytes=self.being_submitted_bytes,
            counted_by="this process",
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
