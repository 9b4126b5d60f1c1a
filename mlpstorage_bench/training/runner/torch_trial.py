"""One trial on one rank with PyTorch's loader as the reader, to compare our model with it.

The accelerator is this thread. Reads are those of worker processes, which the counters of this
process do not show: the audit is that of the device.
"""

from __future__ import annotations

import time
from dataclasses import replace

from mlpstorage_bench.errors import PeerError, StorageError
from mlpstorage_bench.measure.clock import RealClock
from mlpstorage_bench.measure.operation_statistics import STORAGE_TIER
from mlpstorage_bench.measure.process import reset_peak_rss
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.mpi.ranks import Notice, TrialRanks
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.dataset.raw_files import RawReader, payload_of
from mlpstorage_bench.training.results.rank_training import EpochTimes, RankTraining, TrainedEpochs
from mlpstorage_bench.training.runner.context import TrainingContext
from mlpstorage_bench.training.runner.torch_loader import ReadSample, TorchLoader
from mlpstorage_bench.training.runner.trial import EPOCHS
from mlpstorage_bench.trial.common_start import sleep_until
from mlpstorage_bench.trial.common_window import CommonWindow, RankPlace, RankWork
from mlpstorage_bench.trial.supervisor import FAILURE
from mlpstorage_bench.trial.trial_window import ANOTHER_RANK
from mlpstorage_bench.trial.watch import Watch
from mlpstorage_bench.units import NS_PER_S


def run_with_torch(
    workload: TrainingWorkload,
    context: TrainingContext,
    ranks: TrialRanks,
    watch: Watch | None = None,
) -> RankTraining:
    """Run one trial and return this rank's result; all files exist before."""
    del watch
    reset_peak_rss()
    counters = replace(context.counters, process=False)
    return _TorchTrial(workload, replace(context, counters=counters), ranks).run()


class _TorchTrial:
    """The epochs of one rank, and their measurements."""

    def __init__(
        self, workload: TrainingWorkload, context: TrainingContext, ranks: TrialRanks
    ) -> None:
        self._workload = workload
        self._context = context
        self._ranks = ranks
        self._clock = RealClock()
        self._window = Window(self._clock)
        place = RankPlace(
            rank=context.rank,
            host=context.host,
            io_mode="buffered",
            counters=context.counters,
            chunk_bytes=context.place.contents.chunk_bytes,
        )
        self._common = CommonWindow(self._window, place, ranks)
        self._recorder = Recorder(self._window)
        self._epochs: list[EpochTimes] = []
        self._corruptions: list[str] = []
        self._failure: StorageError | None = None

    def run(self) -> RankTraining:
        context, workload = self._context, self._workload
        window, common = self._window, self._common
        digests = context.read_digests()
        payload = payload_of(context.place)
        reader = RawReader(context.place, context.reads, context.places, digests, payload)
        loader = TorchLoader(workload, reader)
        common.compare_clocks()
        common.open(None)
        common.read_start()
        closed_by = self._run_epochs(loader)
        window.close()
        if self._epochs:
            ended_ns = self._epochs[-1].ended_ns + 1
            window.closes_ns = max(window.opened_ns, min(window.closes_ns, ended_ns))
        common.read_end()
        common.end()
        work = RankWork(
            closed_by=closed_by,
            lanes=workload.lanes,
            in_flight=workload.lanes,
            movers=workload.lanes,
            operations=self._recorder.operations,
            corruption=next(iter(self._corruptions), ""),
            failure=self._failure,
        )
        trained = TrainedEpochs(
            epochs=tuple(self._epochs),
            batch=workload.batch,
            computation_s=workload.computation_s,
            record_bytes=context.place.dataset.record_bytes,
            samples=workload.batch * sum(one.steps for one in self._epochs),
            least_au=workload.training_model.least_au,
            corrupt_reads=len(self._corruptions),
        )
        return RankTraining.of(replace(common.record(work), cpu_s=None), trained)

    def _run_epochs(self, loader: TorchLoader) -> str:
        """Run all epochs, each begun by all ranks together; return why that ended."""
        ranks, workload = self._ranks, self._workload
        order = workload.epochs_of(self._context.place.dataset, ranks.size)
        closed_by = EPOCHS
        for number in range(1, workload.epoch_count + 1):
            began_ns = self._window.opened_ns if number == 1 else self._common.await_moment()
            groups = order.of_rank(number, ranks.rank).tolist()
            closed_by = self._run_epoch(number, loader, groups, began_ns)
            if not bool(ranks.bcast(ranks.merge(closed_by == EPOCHS, lambda a, b: a and b))):
                return ANOTHER_RANK if closed_by == EPOCHS else closed_by
        return closed_by

    def _run_epoch(self, number: int, loader: TorchLoader, groups: list[int], began_ns: int) -> str:
        """Run an epoch, and return why it ended."""
        computation_ns = round(self._workload.computation_s * NS_PER_S)
        began_at = time.time() - (self._clock.now_ns() - began_ns) / NS_PER_S
        ended_ns = first_ended_ns = began_ns
        done = waited_ns = first_wait_ns = late_ns = 0
        reason = EPOCHS
        for batch in loader.batches(groups):
            taken_ns = self._clock.now_ns()
            waited_ns += taken_ns - ended_ns
            self._count(batch)
            sleep_until(self._clock, taken_ns + computation_ns)
            ended_ns = self._clock.now_ns()
            if done == 0:
                first_ended_ns, first_wait_ns = ended_ns, waited_ns
            else:
                late_ns += ended_ns - taken_ns - computation_ns
            done += 1
            reason = self._reason_to_end()
            if reason != EPOCHS:
                break
        self._epochs.append(
            EpochTimes(
                epoch=number,
                steps=done,
                began_at=began_at,
                began_ns=began_ns,
                first_step_ended_ns=first_ended_ns,
                ended_ns=ended_ns,
                data_wait_ns=waited_ns,
                first_wait_ns=first_wait_ns,
                late_ns=late_ns,
            )
        )
        return reason

    def _count(self, batch: list[ReadSample]) -> None:
        """Count the reads of a batch, with their times in the workers."""
        for read in batch:
            if read.error:
                self._failure = self._failure or StorageError("reading", "", read.error)
                continue
            observer = self._recorder.observe(
                STORAGE_TIER, "read", max(1, read.moved_bytes), started_ns=read.started_ns
            )
            observer.chunk(read.moved_bytes, read.started_ns, read.ended_ns)
            if read.wrong:
                self._corruptions.append(read.wrong)
            elif self._workload.verify_rate > 0:
                observer.verified(read.ended_ns, read.ended_ns)
            observer.done(read.ended_ns)

    def _reason_to_end(self) -> str:
        """Return why the epoch ends before its last step; EPOCHS if it does not."""
        self._ranks.raise_deferred()
        failed = self._ranks.poll(Notice.FAILED)
        if failed:
            raise PeerError(f"rank {', '.join(map(str, failed))} failed during this trial")
        if self._failure is not None:
            self._ranks.announce(Notice.CLOSING)
            return FAILURE
        return ANOTHER_RANK if self._ranks.poll(Notice.CLOSING) else EPOCHS
