"""Workers of a trial, one per lane, with their scheduler and their counters."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from mlpstorage_bench.errors import CapacityError
from mlpstorage_bench.kvcache.cache.client import CacheClient, TransferLane
from mlpstorage_bench.kvcache.cache.shared import SharedEntries
from mlpstorage_bench.kvcache.cache.tiered import TieredCache, WriteLimitError
from mlpstorage_bench.kvcache.config.request_counters import RequestCounters
from mlpstorage_bench.kvcache.config.request_source import RankWorkload
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.runner.context import TrialContext
from mlpstorage_bench.kvcache.runner.scheduler import (
    ClosedLoopScheduler,
    OpenLoopScheduler,
    RequestScheduler,
)
from mlpstorage_bench.kvcache.runner.worker import RequestWorker, WorkerContext
from mlpstorage_bench.kvcache.trace_files import LaneJournal, TraceWriter
from mlpstorage_bench.kvcache.workload.accesses import prepared
from mlpstorage_bench.kvcache.workload.blocks import Block
from mlpstorage_bench.kvcache.workload.sharing import SharedContent
from mlpstorage_bench.measure.clock import Clock
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.operation_statistics import (
    STORAGE_TIER,
    Kind,
    OperationKey,
    OperationStatistics,
)
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.units import GIB, MIB


class WorkerPool:
    """The workers of one trial, and the objects that they share."""

    def __init__(
        self,
        workload: Workload,
        context: TrialContext,
        cache: TieredCache,
        clock: Clock,
        lanes: Sequence[TransferLane],
        writer: TraceWriter | None,
    ) -> None:
        self.window = Window(clock)
        self.source = RankWorkload(workload, context.seed, context.first_user).request_source()
        self.scheduler: RequestScheduler
        if self.source.is_open_loop:
            self.scheduler = OpenLoopScheduler(self.source.arrivals(), self.window)
        else:
            self.scheduler = ClosedLoopScheduler(
                self.source.streams(), workload.think_time_scale, self.window
            )
        self.limit_reached = threading.Event()
        self._workload = workload
        shared = SharedEntries(cache.index)
        worker_context = WorkerContext(workload, cache, shared, self.scheduler, self.limit_reached)
        self.workers = [self._worker(worker_context, lane, writer) for lane in lanes]
        self._unserved: list[int] = []

    def _worker(
        self, context: WorkerContext, lane: TransferLane, writer: TraceWriter | None
    ) -> RequestWorker:
        journal = None if writer is None else LaneJournal(writer)
        block_mib = self._workload.block_mib
        recorder = Recorder(self.window, None if block_mib is None else block_mib * MIB)
        return RequestWorker(context, CacheClient(lane, recorder, journal), journal)

    def prepared(self) -> list[Block]:
        """Return the blocks that have to be in the cache before the first request."""
        first = self.source.first_user
        users = range(first, first + self.source.num_users)
        shared_content = SharedContent(self.source.sharing, self.source.seed)
        return list(prepared(users, shared_content, self._workload.rules))

    def moved_bytes(self, *kinds: Kind) -> int:
        """Return the bytes moved from and to storage since the trial's start."""
        return self._sum(kinds, lambda operation: operation.total_bytes)

    @property
    def has_moved_enough(self) -> bool:
        """Whether the bytes moved inside the window have reached `stop_after_gb`."""
        enough = self._workload.stop_after_gb
        if enough is None:
            return False
        moved = self._sum(("read", "write"), lambda operation: operation.moved_bytes)
        return moved >= enough * GIB

    def _sum(self, kinds: Sequence[Kind], bytes_of: Callable[[OperationStatistics], int]) -> int:
        return sum(
            bytes_of(operation)
            for worker in self.workers
            for key, operation in list(worker.recorder.operations.items())
            if key.tier == STORAGE_TIER and key.kind in kinds
        )

    def window_has_closed(self) -> None:
        """Record the requests that no worker has taken."""
        self._unserved = self.scheduler.waits_ns()

    @property
    def unserved(self) -> int:
        """Number of requests that were due and not taken when the window closed."""
        return len(self._unserved)

    def lateness(self, requests: RequestCounters) -> Histogram:
        """Return the lateness of requests at their start, or at the close if not started."""
        late = Histogram()
        late.merge(requests.queue_wait)
        for waited_ns in self._unserved:
            late.record(waited_ns)
        return late

    def statistics(self) -> RequestCounters:
        """Return the counters of all requests."""
        for worker in self.workers:
            worker.count_unfinished()
        return RequestCounters.total(worker.statistics for worker in self.workers)

    @property
    def waited_ns(self) -> int:
        """Time of all lanes inside the window in which they waited for a request."""
        return sum(worker.waited_ns for worker in self.workers)

    def operations(self) -> dict[OperationKey, OperationStatistics]:
        """Return the statistics of all operations."""
        return Recorder.total(worker.recorder for worker in self.workers)

    @property
    def corruption(self) -> str:
        """Description of the first read that found other data than was written."""
        return next((s.corruption for s in self.workers if s.corruption), "")


@contextmanager
def before_the_window() -> Iterator[None]:
    """Raise CapacityError if the write limit is reached before the window."""
    try:
        yield
    except WriteLimitError as error:
        raise CapacityError("Writes before the window exceed write_limit_gb: raise it") from error
