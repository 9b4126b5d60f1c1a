"""One trial on one rank: epochs of an accelerator and its loader, and their measurements."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.measure.clock import RealClock
from mlpstorage_bench.measure.clock_offset import ClockOffset, CommonTime, WindowEdges
from mlpstorage_bench.measure.process import peak_rss_bytes, reset_peak_rss
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.steadiness import Criterion
from mlpstorage_bench.measure.throttling import Throttling, ThrottlingCounter
from mlpstorage_bench.measure.wait_sampler import WaitSampler
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.mpi.ranks import Notice, TrialRanks
from mlpstorage_bench.storage.io_threads import IoThreads
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.transfer_code import TRANSFER_CODE
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.dataset.digests import read_digests
from mlpstorage_bench.training.dataset.raw_files import RawReader, payload_of
from mlpstorage_bench.training.results.rank_training import EpochTimes, RankTraining
from mlpstorage_bench.training.runner.accelerator import Accelerator
from mlpstorage_bench.training.runner.batch_loader import BatchLoader
from mlpstorage_bench.training.runner.context import TrainingContext
from mlpstorage_bench.training.runner.sample_reader import SampleReader
from mlpstorage_bench.training.workload.epochs import Epochs
from mlpstorage_bench.training.workload.loader import LoaderOrder
from mlpstorage_bench.trial.common_start import common_moment_ns, sleep_until
from mlpstorage_bench.trial.lanes import LaneShape, open_lanes
from mlpstorage_bench.trial.series_recorder import SeriesRecorder
from mlpstorage_bench.trial.supervisor import FAILURE, TrialSupervisor, failure_of
from mlpstorage_bench.trial.watch import Watch, WatchedTrial, WorkCounts
from mlpstorage_bench.trial.window_counters import WindowCounters
from mlpstorage_bench.units import NS_PER_S

EPOCHS = "number of epochs"
"""Reason for which a window closes after all epochs."""
ANOTHER_RANK = "another rank"
LONGEST_S = 10**7
"""Longer than any window: it is closed when the epochs have ended."""
_CRITERION = Criterion(window_s=10.0, slope=0.05, deviation=0.2)


def run_training(
    workload: TrainingWorkload,
    context: TrainingContext,
    ranks: TrialRanks,
    watch: Watch | None = None,
) -> RankTraining:
    """Run one trial and return this rank's result; all files exist before.

    A failure inside the window is in the result, with the measurements until then.
    """
    reset_peak_rss()
    with ranks.defer_interrupts():
        return _Trial(workload, context, ranks, watch).run()


class _Trial:
    """One trial: its lanes, its window, and its measurements."""

    def __init__(
        self,
        workload: TrainingWorkload,
        context: TrainingContext,
        ranks: TrialRanks,
        watch: Watch | None,
    ) -> None:
        self._workload = workload
        self._context = context
        self._ranks = ranks
        self._watch = watch
        self._clock = RealClock()
        self._window = Window(self._clock)
        self._stopping = threading.Event()
        self._queues = context.queue_opener(workload)
        dataset = context.place.dataset
        self._epochs: Epochs = workload.epochs_of(dataset, ranks.size)
        self._accelerator = Accelerator(self._clock, workload.computation_s, self._stopping)
        self._futures: list[Future[None]] = []
        self._lanes: list[Lane]
        self._readers: list[SampleReader]
        self._threads: IoThreads
        self._supervisor: TrialSupervisor
        self._series: SeriesRecorder
        self._waits: WaitSampler
        self._throttling = ThrottlingCounter()
        self._throttling_before: Throttling
        """Counts of the kernel right before the window."""

    def run(self) -> RankTraining:
        ranks, window = self._ranks, self._window
        with ExitStack() as resources:
            self._open(resources)
            offset = ranks.clock_offset(self._clock.now_ns)
            opened_at, before = self._open_together(offset)
            closed_by = self._run_epochs(offset)
            if closed_by == FAILURE:
                ranks.announce(Notice.CLOSING)
            self._close()
            after = WindowCounters.at_end(
                *(window, self._context.counters),
                *(self._threads.threads, self._threads.lanes_ready_ns),
                delayed=self._threads.delayed,
            )
            throttled_share = self._throttling.read().share_since(self._throttling_before)
            self._supervisor.join()
            drained_ns = self._clock.now_ns()
            self._series.end(window.closes_ns)
            failure = failure_of(self._futures)
            ranks.barrier()
            common = CommonTime(offset, ranks.clock_offset(self._clock.now_ns))
        return self._result(
            opened_at, closed_by, failure, common, before, after, drained_ns, throttled_share
        )

    def _open(self, resources: ExitStack) -> None:
        """Open lanes, and read all that is not part of the training."""
        workload, context = self._workload, self._context
        places = context.places
        digests = read_digests(context.place.digests, places)
        payload = payload_of(context.place)
        reader = RawReader(context.place, context.reads, places, digests, payload)
        shape = LaneShape(
            workload.lanes,
            context.chunking,
            workload.chunks_in_flight,
            min(workload.io_threads, workload.lanes),
            workload.verify_rate,
        )
        self._threads, self._lanes = open_lanes(
            resources, shape, payload, self._stopping, self._queues
        )
        self._readers = [
            SampleReader(lane, reader, self._window, workload.verify_rate) for lane in self._lanes
        ]
        self._ranks.barrier()
        self._series = SeriesRecorder(
            [one.recorder for one in self._readers],
            None if self._watch is None else self._watch.of_trial(self._watched()),
        )
        self._supervisor = TrialSupervisor(
            self._threads,
            self._stopping,
            self._ranks,
            on_poll=lambda: self._series.sample(self._clock.now_ns()),
        )
        self._waits = resources.enter_context(WaitSampler(TRANSFER_CODE))
        resources.callback(self._supervisor.join)

    def _open_together(self, offset: ClockOffset) -> tuple[float, WindowCounters]:
        """Open the window of every rank at one moment.

        Returns the moment (seconds since the epoch) and the kernel's counters.
        """
        self._throttling_before = self._throttling.read()
        opens_ns = common_moment_ns(self._ranks, self._clock, offset)
        self._window.open(LONGEST_S, opens_ns)
        sleep_until(self._clock, opens_ns)
        self._series.begin("window", opens_ns)
        opened_at = time.time()
        return opened_at, WindowCounters.at_start(
            *(self._window, self._context.counters),
            *(self._threads.threads, self._threads.lanes_ready_ns),
            delayed=self._threads.delayed,
        )

    def _run_epochs(self, offset: ClockOffset) -> str:
        """Run all epochs, each begun by all ranks together; return why that ended."""
        reason = EPOCHS
        for number in range(1, self._workload.epoch_count + 1):
            batches = self._epochs.batches(number, self._ranks.rank)
            began_ns = self._window.opened_ns
            if number > 1:
                began_ns = common_moment_ns(self._ranks, self._clock, offset)
                sleep_until(self._clock, began_ns)
            self._futures = self._supervisor.start(self._works(number, batches, began_ns))
            reason = self._supervisor.wait(self._futures, self._epoch_ends)
            if reason == FAILURE:
                self._ranks.announce(Notice.CLOSING)
            if reason != EPOCHS:
                self._supervisor.stop()
            if not self._all_go_on(is_done=reason == EPOCHS):
                return reason if reason != EPOCHS else ANOTHER_RANK
        return reason

    def _all_go_on(self, *, is_done: bool) -> bool:
        """Return whether every rank has ended the epoch; the same on every rank."""
        all_done = self._ranks.merge(is_done, lambda one, other: one and other)
        return bool(self._ranks.bcast(all_done))

    def _works(
        self, number: int, batches: Sequence[Sequence[int]], began_ns: int
    ) -> list[Callable[[], None]]:
        """Return the work of each lane in an epoch; the accelerator's is the last one."""
        run = partial(self._accelerator.run_epoch, number, len(batches), began_ns)
        workload = self._workload
        if not workload.workers:
            coming = iter(batches)
            reader = self._readers[0]
            return [lambda: run(lambda: reader.read(next(coming)))]
        order = LoaderOrder(workload.workers, workload.ahead, len(batches))
        loader = BatchLoader(order, self._stopping)

        def serve(worker: int, reader: SampleReader) -> None:
            while (task := loader.next_task(worker)) is not None:
                reader.read(batches[task])
                loader.finished(task)

        workers = [partial(serve, *one) for one in enumerate(self._readers)]
        return [*workers, lambda: run(loader.take)]

    def _epoch_ends(self) -> str | None:
        self._waits.sample(self._threads.threads, self._threads.note_wait)
        if all(future.done() for future in self._futures):
            return EPOCHS
        return ANOTHER_RANK if self._ranks.poll(Notice.CLOSING) else None

    def _close(self) -> None:
        """Close the window when the last epoch ended, or now."""
        window, epochs = self._window, self._accelerator.epochs
        window.close()
        if epochs and all(future.done() for future in self._futures):
            window.closes_ns = max(window.opened_ns, min(window.closes_ns, epochs[-1].ended_ns + 1))
        self._series.drain()
        self._supervisor.stop()

    def _watched(self) -> WatchedTrial:
        def counts() -> WorkCounts:
            return WorkCounts(
                found=0,
                lookups=0,
                in_flight=sum(lane.in_flight for lane in self._lanes),
                errors=sum(one.corrupt_reads for one in self._readers),
            )

        workload = self._workload
        planned_s = workload.epoch_count * self._epochs.steps * workload.computation_s
        return WatchedTrial(0.0, planned_s, _CRITERION, counts)

    def _result(
        self,
        opened_at: float,
        closed_by: str,
        failure: MlpsError | None,
        common: CommonTime,
        before: WindowCounters,
        after: WindowCounters,
        drained_ns: int,
        throttled_share: float | None,
    ) -> RankTraining:
        window, workload, lanes = self._window, self._workload, self._lanes
        length_ns = window.closes_ns - window.opened_ns
        busy_ns = sum(one.busy_ns for one in self._readers)
        epochs: tuple[EpochTimes, ...] = tuple(self._accelerator.epochs)
        return RankTraining(
            rank=self._context.rank,
            host=self._context.host,
            lanes=len(lanes),
            edges=WindowEdges.of(window.opened_ns, window.closes_ns, common),
            opened_at=opened_at,
            window_s=window.length_s,
            drain_s=max(0, drained_ns - window.closes_ns) / NS_PER_S,
            closed_by=closed_by,
            io_mode=self._context.io_mode,
            in_flight=sum(lane.max_in_flight for lane in lanes),
            movers=self._threads.movers or len(lanes),
            io_threads=min(workload.io_threads, len(lanes)),
            io_queue=self._queues.kind,
            io_queue_refusal=self._queues.refusal,
            chunk_bytes=self._context.place.contents.chunk_bytes,
            operations=Recorder.total(one.recorder for one in self._readers),
            process_traffic=after.process_since(before),
            device_traffic=after.device_since(before),
            underlying_traffic=after.underlying_since(before),
            mount_traffic=after.mount_since(before),
            cpu_s=after.cpu_s - before.cpu_s,
            lane_time=after.threads.since(
                before.threads,
                len(lanes),
                max(0, len(lanes) * length_ns - busy_ns),
                self._waits.shares,
            ),
            throttled_share=throttled_share,
            peak_rss_bytes=peak_rss_bytes(),
            corruption=next((one.corruption for one in self._readers if one.corruption), ""),
            failure=failure,
            series=self._series.slots(common),
            queue_unavailable_reason=next(
                (lane.queue_unavailable_reason for lane in lanes if lane.queue_unavailable_reason),
                "",
            ),
            huge_page_share=lanes[0].huge_page_share,
            epochs=epochs,
            batch=workload.batch,
            computation_s=workload.computation_s,
            record_bytes=self._context.place.dataset.record_bytes,
            samples=workload.batch * sum(one.steps for one in epochs),
            corrupt_reads=sum(one.corrupt_reads for one in self._readers),
        )
