"""One trial on one rank, from requests through cache and storage to measurements."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.kvcache.cache.tier import Tier
from mlpstorage_bench.kvcache.cache.tiered import TieredCache
from mlpstorage_bench.kvcache.config.block_layout import chunking
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial, ReadBack
from mlpstorage_bench.kvcache.runner.context import (
    MakeStore,
    TrialContext,
    build_cache,
    file_io,
    files_in_layout,
)
from mlpstorage_bench.kvcache.runner.read_back import has_verified, read_back
from mlpstorage_bench.kvcache.runner.simulation import simulate
from mlpstorage_bench.kvcache.runner.warm_up import WarmUp
from mlpstorage_bench.kvcache.runner.worker_pool import WorkerPool
from mlpstorage_bench.kvcache.trace_files import TraceWriter
from mlpstorage_bench.measure.clock import Clock, RealClock, VirtualClock
from mlpstorage_bench.measure.clock_offset import ClockOffset, CommonTime, WindowEdges
from mlpstorage_bench.measure.process import peak_rss_bytes, reset_peak_rss
from mlpstorage_bench.measure.steadiness import PARTS, Sampler, Steadiness, assess
from mlpstorage_bench.measure.throttling import Throttling, ThrottlingCounter
from mlpstorage_bench.measure.wait_sampler import WaitSampler
from mlpstorage_bench.mpi.ranks import Notice, Ranks, TrialRanks
from mlpstorage_bench.storage.files import SYNC_BYTES
from mlpstorage_bench.storage.io_threads import IoThreads
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.queues import QueueOpener
from mlpstorage_bench.storage.transfer_code import TRANSFER_CODE
from mlpstorage_bench.storage.transfers import OpenQueue
from mlpstorage_bench.trial.common_start import common_moment_ns, sleep_until
from mlpstorage_bench.trial.lanes import LaneShape, open_lanes
from mlpstorage_bench.trial.series_recorder import SeriesRecorder
from mlpstorage_bench.trial.supervisor import FAILURE, TrialSupervisor, failure_of
from mlpstorage_bench.trial.watch import Watch, WatchedTrial, WorkCounts
from mlpstorage_bench.trial.window_counters import WindowCounters
from mlpstorage_bench.units import KIB, NS_PER_S


def run_trial(
    workload: Workload,
    context: TrialContext,
    ranks: TrialRanks,
    make_store: MakeStore = files_in_layout,
    trace: Path | None = None,
    open_queue: OpenQueue | None = None,
    keep: Callable[[Tier], None] = Tier.close,
    watch: Watch | None = None,
) -> RankTrial:
    """Run one trial and return this rank's result. The cache is empty before.

    `keep` gets the storage tier with its entries after the trial; by default they are removed. They
    are always removed after a failure.

    A failure inside the window is in the result, with the measurements until then. `trace` is the
    file for the trial's operations; `open_queue` opens the queues of IO threads, by default the
    best that the host provides.
    """
    reset_peak_rss()
    clock = VirtualClock() if workload.storage == "null" else RealClock()
    cache = build_cache(workload, context, make_store)
    try:
        with ExitStack() as resources:
            writer = None
            if trace is not None:
                writer = resources.enter_context(TraceWriter(trace, clock))
            if isinstance(clock, VirtualClock):
                trial = simulate(workload, context, ranks, cache, clock, writer)
            else:
                resources.enter_context(ranks.defer_interrupts())
                trial = _Trial(workload, context, cache, clock, writer, open_queue, watch).run(
                    ranks
                )
    except BaseException as error:
        _close_after(error, cache)
        raise
    if trial.failure is None:
        keep(cache.close_memory())
    else:
        _close_after(trial.failure, cache)
    return trial


def _close_after(failure: BaseException, cache: TieredCache) -> None:
    """Empty a cache after a failure; a second failure becomes a note of the first."""
    try:
        cache.close()
    except (StorageError, AssertionError) as second:
        failure.add_note(str(second))


class _Trial:
    """One trial: its lanes, its window, and its measurements."""

    def __init__(
        self,
        workload: Workload,
        context: TrialContext,
        cache: TieredCache,
        clock: Clock,
        writer: TraceWriter | None,
        open_queue: OpenQueue | None,
        watch: Watch | None,
    ) -> None:
        self._workload = workload
        self._context = context
        self._cache = cache
        self._clock = clock
        self._writer = writer
        is_chosen = workload.io_queue != "auto"
        self._queues = QueueOpener(
            workload.io_queue if is_chosen else context.best_queue,
            uses_workers=context.uses_workers,
        )
        self._open_queue = open_queue or self._queues
        self._watch = watch
        self._stopping = threading.Event()
        self._lanes = workload.lanes
        self._io_threads = min(context.io_threads, workload.lanes)
        self._threads: IoThreads
        # Asked before the trial: its directory may be gone at the end.
        is_counted_at_sync = file_io(workload, context).counts_at_sync
        self._unsynced_bytes = workload.lanes * SYNC_BYTES if is_counted_at_sync else 0
        self._pool: WorkerPool
        self._supervisor: TrialSupervisor
        self._series: SeriesRecorder
        self._waits: WaitSampler
        self._throttling = ThrottlingCounter()
        self._throttling_before: Throttling
        """Counts of the kernel right before the window."""

    def run(self, ranks: TrialRanks) -> RankTrial:
        with ExitStack() as resources:
            lanes = self._make_lanes(resources)
            self._pool = pool = WorkerPool(
                self._workload, self._context, self._cache, self._clock, lanes, self._writer
            )
            window = pool.window
            ranks.barrier()
            self._series = series = SeriesRecorder(
                [worker.recorder for worker in pool.workers],
                None if self._watch is None else self._watch.of_trial(self._watched(lanes)),
            )
            self._supervisor = supervisor = TrialSupervisor(
                self._threads,
                self._stopping,
                ranks,
                on_poll=lambda: series.sample(self._clock.now_ns()),
                remaining_s=lambda: window.remaining_s,
                stop_work=pool.scheduler.stop,
            )
            self._waits = resources.enter_context(WaitSampler(TRANSFER_CODE))
            resources.callback(supervisor.join)
            capacity_bytes = self._context.storage_capacity_bytes
            warm_up = WarmUp(self._workload, capacity_bytes, pool, supervisor, ranks, series)
            preconditioned = warm_up.precondition()
            warm_up.prepare()
            offset = ranks.clock_offset(self._clock.now_ns)
            is_warmed_up = self._workload.warmup > 0
            if is_warmed_up:
                pool.scheduler.open()
            else:  # no request before the window, all of them from its start
                opened_at, before = self._open_together(ranks, offset)
                pool.scheduler.open(window.opened_ns)
            futures = supervisor.start([one.serve_until_stopped for one in pool.workers])
            warmed_up = None
            if is_warmed_up:
                warmed_up = warm_up.warm_up(futures)
                opened_at, before = self._open_together(ranks, offset)
            moved = partial(pool.moved_bytes, "read", "write")
            sampler = Sampler(moved, self._workload.duration / PARTS, window.opened_ns)
            closed_by = supervisor.wait(futures, self._window_closes(ranks, sampler))
            if closed_by == FAILURE:
                ranks.announce(Notice.CLOSING)
            window.close()
            series.drain()
            supervisor.stop()  # no operation begins after it
            after = WindowCounters.at_end(
                *(window, self._context.counters),
                *(self._threads.threads, self._threads.lanes_ready_ns),
                delayed=self._threads.delayed,
            )
            throttled_share = self._throttling.read().share_since(self._throttling_before)
            supervisor.join()
            drained_ns = self._clock.now_ns()
            pool.window_has_closed()
            series.end(window.closes_ns)
            failure = failure_of(futures)
            ranks.barrier()
            common = CommonTime(offset, ranks.clock_offset(self._clock.now_ns))
            operations = pool.operations()
            checked = None
            if failure is None and not has_verified(operations):
                checked = self._read_back(lanes[0], ranks)
        requests = pool.statistics()
        if checked is not None:
            failure = checked.failure
            requests.corrupt_reads += checked.corrupt_chunks
        return RankTrial(
            rank=self._context.rank,
            host=self._context.host,
            users=self._workload.users,
            lanes=self._lanes,
            edges=WindowEdges.of(window.opened_ns, window.closes_ns, common),
            opened_at=opened_at,
            window_s=window.length_s,
            drain_s=max(0, drained_ns - window.closes_ns) / NS_PER_S,
            closed_by=closed_by,
            io_mode=self._context.io_mode,
            in_flight=sum(lane.max_in_flight for lane in lanes),
            movers=self._threads.movers or self._lanes,
            io_threads=self._io_threads,
            io_queue=self._queues.kind,
            io_queue_refusal=self._queues.refusal,
            chunk_bytes=self._workload.io_chunk_kib * KIB,
            requests=requests,
            arrived=pool.scheduler.arrived,
            unserved=pool.unserved,
            lateness=pool.lateness(requests) if pool.source.is_open_loop else None,
            operations=operations,
            tiers=self._cache.account(),
            process_traffic=after.process_since(before),
            device_traffic=after.device_since(before),
            underlying_traffic=after.underlying_since(before),
            mount_traffic=after.mount_since(before),
            unsynced_bytes=self._unsynced_bytes,
            cpu_s=after.cpu_s - before.cpu_s,
            lane_time=after.threads.since(
                before.threads, self._lanes, pool.waited_ns, self._waits.shares
            ),
            throttled_share=throttled_share,
            peak_rss_bytes=peak_rss_bytes(),
            corruption=pool.corruption or ("" if checked is None else checked.corruption),
            failure=failure,
            read_back_chunks=0 if checked is None else checked.verified_chunks,
            preconditioning=preconditioned,
            warm_up=warmed_up,
            steadiness=self._steadiness(sampler),
            series=series.slots(common),
            queue_unavailable_reason=next(
                (lane.queue_unavailable_reason for lane in lanes if lane.queue_unavailable_reason),
                "",
            ),
            huge_page_share=lanes[0].huge_page_share,
        )

    def _watched(self, lanes: Sequence[Lane]) -> WatchedTrial:
        workload = self._workload

        def counts() -> WorkCounts:
            statistics = [worker.statistics for worker in self._pool.workers]
            found = sum(one.hits.total() for one in statistics)
            return WorkCounts(
                found=found,
                lookups=found + sum(one.misses for one in statistics),
                in_flight=sum(lane.in_flight for lane in lanes),
                errors=sum(one.corrupt_reads for one in statistics),
            )

        return WatchedTrial(workload.warmup, workload.duration, workload.steady, counts)

    def _make_lanes(self, resources: ExitStack) -> list[Lane]:
        workload = self._workload
        payload = Payload(
            self._context.seed,
            origin=f"rank {self._context.rank}, {time.time_ns()}",  # unique among trials and runs
            compress_ratio=workload.compress_ratio,
            dedup_ratio=workload.dedup_ratio,
        )
        shape = LaneShape(
            self._lanes,
            chunking(workload, self._context.alignment_bytes),
            workload.chunks_in_flight,
            self._io_threads,
            workload.verify_rate,
        )
        self._threads, lanes = open_lanes(
            resources, shape, payload, self._stopping, self._open_queue
        )
        return lanes

    def _open_together(self, ranks: Ranks, offset: ClockOffset) -> tuple[float, WindowCounters]:
        """Open the window of every rank at one moment.

        Returns the moment (seconds since the epoch) and the kernel's counters.
        """
        self._throttling_before = self._throttling.read()
        opens_ns = common_moment_ns(ranks, self._clock, offset)
        self._pool.window.open(self._workload.duration, opens_ns)
        sleep_until(self._clock, opens_ns)
        self._series.end(opens_ns)
        self._series.begin("window", opens_ns)
        opened_at = time.time()
        return opened_at, WindowCounters.at_start(
            *(self._pool.window, self._context.counters),
            *(self._threads.threads, self._threads.lanes_ready_ns),
            delayed=self._threads.delayed,
        )

    def _window_closes(self, ranks: TrialRanks, sampler: Sampler) -> Callable[[], str | None]:
        pool = self._pool

        def reason() -> str | None:
            sampler.sample(self._clock.now_ns())
            self._waits.sample(self._threads.threads, self._threads.note_wait)
            if pool.window.is_over:
                return "duration"
            if pool.limit_reached.is_set() or pool.has_moved_enough:
                ranks.announce(Notice.CLOSING)
                return "write limit" if pool.limit_reached.is_set() else "number of bytes"
            if pool.scheduler.is_exhausted:
                return "number of requests"
            return "another rank" if ranks.poll(Notice.CLOSING) else None

        return reason

    def _read_back(self, lane: Lane, ranks: TrialRanks) -> ReadBack | None:
        storage, seed = self._cache.tiers[-1], self._context.seed
        return read_back(self._workload, storage, lane, seed, ranks.raise_deferred)

    def _steadiness(self, sampler: Sampler) -> Steadiness | None:
        """Judge the steadiness of the whole window, if it is long enough."""
        criterion = self._workload.steady
        is_long = self._pool.window.length_s >= criterion.window_s
        return assess(sampler.rates, criterion) if is_long and len(sampler.rates) > 1 else None
