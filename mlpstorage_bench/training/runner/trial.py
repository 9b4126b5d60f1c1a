"""One trial on one rank: epochs of an accelerator and its loader, and their measurements."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial

from mlpstorage_bench.measure.clock import RealClock
from mlpstorage_bench.measure.process import reset_peak_rss
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.dataset.raw_files import RawReader, payload_of
from mlpstorage_bench.training.results.rank_training import RankTraining, TrainedEpochs
from mlpstorage_bench.training.runner.accelerator import Accelerator
from mlpstorage_bench.training.runner.batch_loader import BatchLoader
from mlpstorage_bench.training.runner.context import TrainingContext
from mlpstorage_bench.training.runner.sample_reader import SampleReader
from mlpstorage_bench.training.workload.epochs import Epochs
from mlpstorage_bench.training.workload.loader import LoaderOrder
from mlpstorage_bench.trial.common_window import RankPlace
from mlpstorage_bench.trial.lanes import LaneShape, open_lanes
from mlpstorage_bench.trial.trial_window import (
    ANOTHER_RANK,
    STEADY,
    LaneGroup,
    LaneState,
    TrialWindow,
)
from mlpstorage_bench.trial.watch import Watch, WatchedTrial, WorkCounts

EPOCHS = "number of epochs"
"""Reason for which a window closes after all epochs."""


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
        self._stopping = threading.Event()
        self._queues = context.queue_opener(workload)
        dataset = context.place.dataset
        self._epochs: Epochs = workload.epochs_of(dataset, ranks.size)
        self._accelerator = Accelerator(self._clock, workload.computation_s, self._stopping)
        self._futures: list[Future[None]] = []
        """Work of the lanes in the epoch that runs."""
        self._lanes: list[Lane]
        self._readers: list[SampleReader]
        self._window: TrialWindow

    def run(self) -> RankTraining:
        with ExitStack() as resources:
            self._window = window = self._open(resources)
            self._ranks.barrier()
            window.common.compare_clocks()
            window.open(None)
            closed_by = self._run_epochs()
            window.close(self._futures, self._ended_ns())
        return self._result(closed_by)

    def _open(self, resources: ExitStack) -> TrialWindow:
        """Open lanes, and read all that is not part of the training."""
        workload, context = self._workload, self._context
        window = Window(self._clock)
        digests = context.read_digests()
        payload = payload_of(context.place)
        reader = RawReader(context.place, context.reads, context.places, digests, payload)
        shape = LaneShape(
            workload.lanes,
            context.chunking,
            workload.chunks_in_flight,
            min(workload.io_threads, workload.lanes),
            workload.verify_rate,
        )
        threads, self._lanes = open_lanes(resources, shape, payload, self._stopping, self._queues)
        self._readers = [
            SampleReader(lane, reader, window, workload.verify_rate) for lane in self._lanes
        ]
        recorders = [one.recorder for one in self._readers]
        place = RankPlace(
            rank=context.rank,
            host=context.host,
            io_mode=context.io_mode,
            counters=context.counters,
            chunk_bytes=context.place.contents.chunk_bytes,
        )
        return resources.enter_context(
            TrialWindow(
                window,
                place,
                LaneGroup(threads, recorders, self._stopping, shape.io_threads, self._queues),
                self._ranks,
                self._watch,
                self._watched(),
            )
        )

    def _run_epochs(self) -> str:
        """Run all epochs, each begun by all ranks together; return why that ended."""
        reason = EPOCHS
        for number in range(1, self._workload.epoch_count + 1):
            batches = self._epochs.batches(number, self._ranks.rank)
            window = self._window
            began_ns = window.opened_ns if number == 1 else window.common.await_moment()
            self._futures = window.start(self._works(number, batches, began_ns))
            reason = window.wait(self._futures, self._epoch_ends)
            if reason != EPOCHS:
                window.supervisor.stop()
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
        return EPOCHS if all(future.done() for future in self._futures) else None

    def _ended_ns(self) -> int | None:
        """Return when the last epoch ended; None if it has not."""
        epochs = self._accelerator.epochs
        is_done = bool(epochs) and all(future.done() for future in self._futures)
        return epochs[-1].ended_ns + 1 if is_done else None

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
        return WatchedTrial(0.0, planned_s, STEADY, counts)

    def _result(self, closed_by: str) -> RankTraining:
        workload, window = self._workload, self._window
        busy_ns = sum(one.busy_ns for one in self._readers)
        epochs = tuple(self._accelerator.epochs)
        measured = window.record(
            closed_by,
            LaneState.of(self._lanes),
            corruption=next((one.corruption for one in self._readers if one.corruption), ""),
            waited_ns=max(0, len(self._lanes) * window.length_ns - busy_ns),
        )
        trained = TrainedEpochs(
            epochs=epochs,
            batch=workload.batch,
            computation_s=workload.computation_s,
            record_bytes=self._context.place.dataset.record_bytes,
            samples=workload.batch * sum(one.steps for one in epochs),
            least_au=workload.training_model.least_au,
            corrupt_reads=sum(one.corrupt_reads for one in self._readers),
        )
        return RankTraining.of(measured, trained)
