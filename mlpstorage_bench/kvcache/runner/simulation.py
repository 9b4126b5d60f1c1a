"""A trial without storage, in simulated time: the exact requests of a workload.

Operations take no time, so that one lane is enough, and every moment follows from the requests
alone: think times, generation, and arrivals at a rate.
"""

from __future__ import annotations

import threading
import time
from array import array

from mlpstorage_bench.kvcache.cache.tiered import TieredCache
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.kvcache.runner.context import TrialContext
from mlpstorage_bench.kvcache.runner.worker_pool import WorkerPool, before_the_window
from mlpstorage_bench.kvcache.trace_files import TraceWriter
from mlpstorage_bench.measure.clock import VirtualClock
from mlpstorage_bench.measure.process import peak_rss_bytes
from mlpstorage_bench.mpi.ranks import Ranks
from mlpstorage_bench.storage.store import Observer, Store, StoredEntry
from mlpstorage_bench.units import KIB, NS_PER_S


class UntimedLane:
    """Moves no data in no time, and reports each entry to the observer as one chunk."""

    def __init__(self, clock: VirtualClock) -> None:
        self.stopping = threading.Event()
        self._clock = clock

    def write(
        self, store: Store, name: str, size: int, observer: Observer, *, generation: int = 0
    ) -> StoredEntry:
        """Report a new entry."""
        del store, generation
        self._report(size, observer)
        return StoredEntry(name, size, identity=0, digests=array("Q"))

    def read(self, store: Store, entry: StoredEntry, observer: Observer) -> None:
        """Report an entry that is read."""
        del store
        self._report(entry.size, observer)

    def copy(
        self, source: Store, target: Store, entry: StoredEntry, read: Observer, write: Observer
    ) -> None:
        """Report an entry that is copied."""
        del source, target
        self._report(entry.size, read)
        self._report(entry.size, write)

    def _report(self, size: int, observer: Observer) -> None:
        now_ns = self._clock.now_ns()
        observer.chunk(size, now_ns, now_ns)


def simulate(
    workload: Workload,
    context: TrialContext,
    ranks: Ranks,
    cache: TieredCache,
    clock: VirtualClock,
    writer: TraceWriter | None,
) -> RankTrial:
    """Run a trial in simulated time and return its result."""
    pool = WorkerPool(workload, context, cache, clock, [UntimedLane(clock)], writer)
    (worker,) = pool.workers
    ranks.barrier()
    with before_the_window():
        worker.prepare(pool.prepared())
    opened_at = time.time()
    window, scheduler = pool.window, pool.scheduler
    scheduler.open()
    # a warm-up would last for ever if no time passed
    warm_up_s = workload.warmup if workload.takes_time else 0.0
    opens_ns = clock.now_ns() + round(warm_up_s * NS_PER_S)
    window.open(workload.duration, opens_ns)
    closed_by = "number of requests"
    while (moment_ns := scheduler.next_moment_ns()) is not None:
        if moment_ns >= window.closes_ns:
            closed_by = "duration"
            clock.advance(window.closes_ns)
            break
        worker.serve_next()
        if pool.limit_reached.is_set() or pool.has_moved_enough:
            closed_by = "write limit" if pool.limit_reached.is_set() else "number of bytes"
            break
    else:
        clock.advance(min(scheduler.last_end_ns, window.closes_ns))
    clock.advance(opens_ns)  # all requests may come, or a limit be reached, before it
    window.close()
    pool.window_has_closed()
    ranks.barrier()
    requests = pool.statistics()
    return RankTrial(
        rank=context.rank,
        host=context.host,
        opened_at=opened_at,
        window_s=window.length_s,
        drain_s=0.0,
        closed_by=closed_by,
        io_mode=context.io_mode,
        in_flight=1,
        chunk_bytes=workload.io_chunk_kib * KIB,
        requests=requests,
        arrived=pool.scheduler.arrived,
        unserved=pool.unserved,
        lateness=pool.lateness(requests) if pool.source.is_open_loop else None,
        operations=pool.operations(),
        tiers=cache.account(),
        process_traffic=None,
        device_traffic=None,
        cpu_s=None,
        peak_rss_bytes=peak_rss_bytes(),
        corruption="",
        is_simulated=True,
    )
