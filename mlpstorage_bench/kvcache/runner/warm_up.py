"""Steps before a trial's window: preconditioning, entries to be read, warm-up."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial

from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.request_tally import most_preconditioning
from mlpstorage_bench.kvcache.results.rank_trial import Preconditioning
from mlpstorage_bench.kvcache.runner.worker_pool import WorkerPool, before_the_window
from mlpstorage_bench.measure.steadiness import PARTS, Sampler, Steadiness
from mlpstorage_bench.mpi.ranks import Ranks
from mlpstorage_bench.trial.series_recorder import SeriesRecorder
from mlpstorage_bench.trial.supervisor import TrialSupervisor
from mlpstorage_bench.units import NS_PER_S


class WarmUp:
    """The work of a trial's lanes before its window, step by step.

    Each step raises the failure of a lane, and PeerError if another rank fails.
    """

    def __init__(
        self,
        workload: Workload,
        capacity_bytes: int,
        pool: WorkerPool,
        supervisor: TrialSupervisor,
        ranks: Ranks,
        series: SeriesRecorder,
    ) -> None:
        self._workload = workload
        self._capacity_bytes = capacity_bytes
        """Capacity of the storage tier."""
        self._pool = pool
        self._supervisor = supervisor
        self._ranks = ranks
        self._series = series
        self._clock = pool.window.clock

    def precondition(self) -> Preconditioning | None:
        """Write until the write bandwidth is steady or the profile's limit is reached."""
        workload = self._workload
        if workload.precondition == "none":
            return None
        most_bytes = most_preconditioning(workload, self._capacity_bytes)
        criterion = workload.steady
        started_ns = self._clock.now_ns()
        self._series.begin("preconditioning", started_ns)
        sampler = Sampler(self._written, criterion.window_s / PARTS, started_ns)
        enough = threading.Event()
        futures = self._supervisor.start(
            [
                partial(worker.precondition, number, enough.is_set)
                for number, worker in enumerate(self._pool.workers)
            ]
        )

        def reason() -> str | None:
            if sampler.sample(self._clock.now_ns()):
                seen = sampler.latest(criterion)
                if seen is not None and seen.is_steady:
                    return "steady"
            return "limit" if self._written() >= most_bytes else None

        with before_the_window():
            try:
                self._supervisor.wait_or_raise(futures, reason)
            finally:
                enough.set()
            self._wait_for(futures)
        self._series.end(self._clock.now_ns())
        seconds = (self._clock.now_ns() - started_ns) / NS_PER_S
        steadiness = sampler.latest(criterion)
        self._ranks.barrier()
        return Preconditioning(seconds, self._written(), steadiness)

    def prepare(self) -> None:
        """Write the entries that requests will read, on all lanes, and wait for the other ranks."""
        blocks = self._pool.prepared()
        if not blocks:
            return
        workers = self._pool.workers
        self._series.begin("preparation", self._clock.now_ns())
        futures = self._supervisor.start(
            [
                partial(worker.prepare, blocks[number :: len(workers)])
                for number, worker in enumerate(workers)
            ]
        )
        with before_the_window():
            self._wait_for(futures)
        self._series.end(self._clock.now_ns())
        self._ranks.barrier()

    def warm_up(self, futures: Sequence[Future[None]]) -> Steadiness | None:
        """Wait under load until the time is over or bandwidth is steady."""
        workload = self._workload
        now_ns = self._clock.now_ns()
        ends_ns = now_ns + round(workload.warmup * NS_PER_S)
        self._series.begin("warm-up", now_ns)
        criterion = workload.steady
        is_judged = workload.warmup_until == "steady"
        moved = partial(self._pool.moved_bytes, "read", "write")
        sampler = Sampler(moved, criterion.window_s / PARTS, now_ns)

        def reason() -> str | None:
            now_ns = self._clock.now_ns()
            if is_judged and sampler.sample(now_ns):
                seen = sampler.latest(criterion)
                if seen is not None and seen.is_steady:
                    return "steady"
            return "time" if now_ns >= ends_ns or self._pool.scheduler.is_exhausted else None

        self._supervisor.wait_or_raise(futures, reason)
        return sampler.latest(criterion) if is_judged else None

    def _wait_for(self, futures: Sequence[Future[None]]) -> None:
        """Wait until the entries before the window are written."""
        written = "written"
        self._supervisor.wait_or_raise(
            futures, lambda: written if all(f.done() for f in futures) else None
        )

    def _written(self) -> int:
        return self._pool.moved_bytes("write")
