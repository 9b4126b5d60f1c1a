"""One trial on one rank, from requests through cache and storage to measurements."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.kvcache.cache.tier import Tier
from mlpstorage_bench.kvcache.cache.tiered import TieredCache
from mlpstorage_bench.kvcache.config.block_layout import chunking
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial, ReadBack, ServedRequests
from mlpstorage_bench.kvcache.runner.context import (
    MakeStore,
    TrialContext,
    build_cache,
    files_in_layout,
)
from mlpstorage_bench.kvcache.runner.read_back import has_verified, read_back
from mlpstorage_bench.kvcache.runner.simulation import simulate
from mlpstorage_bench.kvcache.runner.warm_up import WarmUp
from mlpstorage_bench.kvcache.runner.worker_pool import WorkerPool
from mlpstorage_bench.kvcache.trace_files import TraceWriter
from mlpstorage_bench.measure.clock import Clock, RealClock, VirtualClock
from mlpstorage_bench.measure.process import reset_peak_rss
from mlpstorage_bench.measure.steadiness import PARTS, Sampler, Steadiness, assess
from mlpstorage_bench.mpi.ranks import Notice, TrialRanks
from mlpstorage_bench.storage.io_threads import IoThreads
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.queues import QueueOpener
from mlpstorage_bench.storage.transfers import OpenQueue
from mlpstorage_bench.trial.common_window import RankPlace
from mlpstorage_bench.trial.lanes import LaneShape, open_lanes
from mlpstorage_bench.trial.trial_window import LaneGroup, LaneState, TrialWindow
from mlpstorage_bench.trial.watch import Watch, WatchedTrial, WorkCounts
from mlpstorage_bench.units import KIB


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
        self._io_threads = min(context.io_threads, workload.lanes)
        self._pool: WorkerPool

    def run(self, ranks: TrialRanks) -> RankTrial:
        workload, context = self._workload, self._context
        with ExitStack() as resources:
            threads, lanes = self._open_lanes(resources)
            self._pool = pool = WorkerPool(
                workload, context, self._cache, self._clock, lanes, self._writer
            )
            recorders = [worker.recorder for worker in pool.workers]
            window = resources.enter_context(
                TrialWindow(
                    pool.window,
                    self._place(),
                    LaneGroup(threads, recorders, self._stopping, self._io_threads, self._queues),
                    ranks,
                    self._watch,
                    self._watched(lanes),
                    stop_work=pool.scheduler.stop,
                )
            )
            ranks.barrier()
            warm_up = WarmUp(
                workload,
                context.storage_capacity_bytes,
                pool,
                window.supervisor,
                ranks,
                window.series,
            )
            preconditioned = warm_up.precondition()
            warm_up.prepare()
            window.common.compare_clocks()
            is_warmed_up = workload.warmup > 0
            if is_warmed_up:
                pool.scheduler.open()
            else:  # no request before the window, all of them from its start
                window.open(workload.duration)
                pool.scheduler.open(pool.window.opened_ns)
            futures = window.start([one.serve_until_stopped for one in pool.workers])
            warmed_up = None
            if is_warmed_up:
                warmed_up = warm_up.warm_up(futures)
                window.open(workload.duration)
            moved = partial(pool.moved_bytes, "read", "write")
            sampler = Sampler(moved, workload.duration / PARTS, pool.window.opened_ns)
            closed_by = window.wait(futures, self._window_closes(ranks, sampler))
            window.close(futures)
            pool.window_has_closed()
            measured = window.record(
                closed_by,
                LaneState.of(lanes),
                corruption=pool.corruption,
                waited_ns=pool.waited_ns,
            )
            checked = None
            if measured.failure is None and not has_verified(measured.operations):
                checked = self._read_back(lanes[0], ranks)
        requests = pool.statistics()
        if checked is not None:
            measured = replace(
                measured,
                failure=checked.failure,
                corruption=measured.corruption or checked.corruption,
            )
            requests.corrupt_reads += checked.corrupt_chunks
        served = ServedRequests(
            users=workload.users,
            requests=requests,
            arrived=pool.scheduler.arrived,
            unserved=pool.unserved,
            lateness=pool.lateness(requests) if pool.source.is_open_loop else None,
            tiers=self._cache.account(),
            read_back_chunks=0 if checked is None else checked.verified_chunks,
            preconditioning=preconditioned,
            warm_up=warmed_up,
            steadiness=self._steadiness(sampler),
        )
        return RankTrial.of(measured, served)

    def _place(self) -> RankPlace:
        context = self._context
        return RankPlace(
            rank=context.rank,
            host=context.host,
            io_mode=context.io_mode,
            counters=context.counters,
            chunk_bytes=self._workload.io_chunk_kib * KIB,
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

    def _open_lanes(self, resources: ExitStack) -> tuple[IoThreads, list[Lane]]:
        workload = self._workload
        payload = Payload(
            self._context.seed,
            origin=f"rank {self._context.rank}, {time.time_ns()}",  # unique among trials and runs
            compress_ratio=workload.compress_ratio,
            dedup_ratio=workload.dedup_ratio,
        )
        shape = LaneShape(
            workload.lanes,
            chunking(workload, self._context.alignment_bytes),
            workload.chunks_in_flight,
            self._io_threads,
            workload.verify_rate,
        )
        return open_lanes(resources, shape, payload, self._stopping, self._open_queue)

    def _window_closes(self, ranks: TrialRanks, sampler: Sampler) -> Callable[[], str | None]:
        pool = self._pool

        def reason() -> str | None:
            sampler.sample(self._clock.now_ns())
            if pool.window.is_over:
                return "duration"
            if pool.limit_reached.is_set() or pool.has_moved_enough:
                ranks.announce(Notice.CLOSING)
                return "write limit" if pool.limit_reached.is_set() else "number of bytes"
            return "number of requests" if pool.scheduler.is_exhausted else None

        return reason

    def _read_back(self, lane: Lane, ranks: TrialRanks) -> ReadBack | None:
        storage, seed = self._cache.tiers[-1], self._context.seed
        return read_back(self._workload, storage, lane, seed, ranks.raise_deferred)

    def _steadiness(self, sampler: Sampler) -> Steadiness | None:
        """Judge the steadiness of the whole window, if it is long enough."""
        criterion = self._workload.steady
        is_long = self._pool.window.length_s >= criterion.window_s
        return assess(sampler.rates, criterion) if is_long and len(sampler.rates) > 1 else None
