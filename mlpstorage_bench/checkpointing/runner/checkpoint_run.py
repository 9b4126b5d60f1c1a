"""One checkpoint on one rank: its lanes, its window, and its measurements."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass

from mlpstorage_bench.checkpointing.config.parameters import Kind, Parameters
from mlpstorage_bench.checkpointing.results.rank_checkpoint import CheckpointPart, RankCheckpoint
from mlpstorage_bench.checkpointing.runner.lane_parts import LaneParts, lane_shape
from mlpstorage_bench.checkpointing.runner.lane_works import (
    MEMORY_TIER,
    Drains,
    FileWork,
    Reads,
    Snapshots,
    Writes,
)
from mlpstorage_bench.checkpointing.runner.share_files import ShareFiles
from mlpstorage_bench.measure.clock import RealClock
from mlpstorage_bench.measure.process import reset_peak_rss
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.kernel_queue import QueueChoice
from mlpstorage_bench.storage.memory import MemoryStore
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.queues import QueueOpener
from mlpstorage_bench.trial.common_window import UNLIMITED_S, RankPlace
from mlpstorage_bench.trial.counter_probe import UsableCounters
from mlpstorage_bench.trial.trial_window import (
    COMPLETE,
    STEADY,
    LaneGroup,
    LaneState,
    TrialWindow,
    all_done,
)
from mlpstorage_bench.trial.watch import Watch, WatchedTrial, WorkCounts
from mlpstorage_bench.units import MIB, NS_PER_S

SLOT_BYTES = 16 * MIB
"""Unit of memory for copies of files."""


@dataclass(frozen=True)
class CheckpointContext:
    """Everything about a rank's checkpoint that is not a parameter."""

    rank: int
    host: str
    io: FileIo
    queue: QueueChoice
    uses_workers: bool
    payload: Payload
    counters: UsableCounters
    copies: MemoryStore
    """Memory for copies of files; empty between checkpoints."""


def run_checkpoint(
    parameters: Parameters,
    context: CheckpointContext,
    ranks: TrialRanks,
    files: ShareFiles,
    kind: Kind,
    checkpoint: int,
    watch: Watch,
) -> RankCheckpoint:
    """Write or read the rank's files of a checkpoint while all ranks do.

    A failure is in the result, with the measurements until then; written files are removed then.
    """
    reset_peak_rss()
    with ranks.defer_interrupts():
        run = _Run(parameters, context, files, kind, checkpoint)
        try:
            result = run.run(ranks, watch)
        except BaseException:
            run.discard()
            raise
    if result.failure is not None:
        run.discard()
    return result


class _Run:
    """One checkpoint: what it uses, and what it measures."""

    def __init__(
        self,
        parameters: Parameters,
        context: CheckpointContext,
        files: ShareFiles,
        kind: Kind,
        checkpoint: int,
    ) -> None:
        self._parameters = parameters
        self._context = context
        self._files = files
        self._kind = kind
        self._checkpoint = checkpoint
        self._clock = RealClock()
        self._window = Window(self._clock)
        self._stopping = threading.Event()
        self._shape = lane_shape(parameters, files.files)
        chosen = parameters.io_queue
        self._queues = QueueOpener(
            context.queue if chosen == "auto" else chosen, uses_workers=context.uses_workers
        )
        self._recorders = [Recorder(self._window) for _ in range(self._shape.lanes)]

    def run(self, ranks: TrialRanks, watch: Watch) -> RankCheckpoint:
        """Move the files, and return what was measured."""
        with ExitStack() as resources:
            parts = LaneParts.opened(
                resources, self._shape, self._context.payload, self._stopping, self._queues
            )
            resources.callback(self._forget_copies)
            if self._kind == "write":
                self._files.remove(self._checkpoint)
            ranks.barrier()
            watched = WatchedTrial(0.0, 0.0, STEADY, lambda: self._counts(work))
            window = resources.enter_context(
                TrialWindow(self._window, self._place(), self._group(parts), ranks, watch, watched)
            )
            snapshot = self._take_snapshot(parts, window)
            work = self._work(parts, snapshot)
            window.common.compare_clocks()
            window.open(None)
            futures = window.start(work.of_lanes())
            closed_by = window.wait(futures, all_done(futures))
            window.close(futures)
        state = LaneState(max(1, work.in_flight), parts.buffers.huge_page_share, work.refusal)
        measured = window.record(
            closed_by, state, corruption=work.corruption, ended_ns=work.ended_ns
        )
        if self._kind == "write" and measured.failure is None and closed_by == COMPLETE:
            self._files.written[self._checkpoint] = work.complete
        part = CheckpointPart(
            kind=self._kind,
            checkpoint=self._checkpoint,
            tensor_bytes=self._files.tensor_bytes,
            files=len(work.complete),
            corrupt_files=work.corrupt_files,
            snapshot_s=None if snapshot is None else snapshot.copied_s,
            training_began_ns=None if snapshot is None else window.opened_ns,
            interval_s=self._parameters.time_between_checkpoints,
        )
        return RankCheckpoint.of(measured, part)

    def _place(self) -> RankPlace:
        context = self._context
        return RankPlace(
            rank=context.rank,
            host=context.host,
            io_mode=context.io.mode,
            counters=context.counters,
            chunk_bytes=self._shape.chunking.chunk_bytes,
        )

    def _group(self, parts: LaneParts) -> LaneGroup:
        return LaneGroup(
            threads=parts.threads,
            recorders=self._recorders,
            stopping=self._stopping,
            io_threads=self._shape.io_threads,
            queues=self._queues,
        )

    def discard(self) -> None:
        """Remove the files of a checkpoint that is not complete."""
        if self._kind == "write":
            self._files.remove(self._checkpoint)

    def _take_snapshot(self, parts: LaneParts, window: TrialWindow) -> _Snapshot | None:
        """Copy the rank's share to memory, if the checkpoint is asynchronous."""
        if self._kind == "read" or not self._parameters.asynchronous:
            return None
        if not self._context.copies.has_free_slots:
            self._copy(parts, window)  # a training job has its memory before it copies to it
            self._forget_copies()
        recorders, work = self._copy(parts, window)
        copied_ns = sum(
            one.chunk.sum_ns
            for key, one in Recorder.total(recorders).items()
            if key.tier == MEMORY_TIER
        )
        return _Snapshot(copied_ns / self._shape.io_threads / NS_PER_S, work)

    def _copy(self, parts: LaneParts, window: TrialWindow) -> tuple[list[Recorder], Snapshots]:
        of_copies = Window(self._clock)
        of_copies.open(UNLIMITED_S)
        recorders = [Recorder(of_copies) for _ in range(self._shape.lanes)]
        files, copies = [*self._files.files], self._context.copies
        work = Snapshots(parts, recorders, files, copies, self._checkpoint)
        futures = window.start(work.of_lanes())
        window.supervisor.wait_or_raise(futures, all_done(futures))
        return recorders, work

    def _forget_copies(self) -> None:
        for file in self._files.files:
            self._context.copies.delete(file.name)

    def _work(self, parts: LaneParts, snapshot: _Snapshot | None) -> FileWork:
        files, recorders = [*self._files.files], self._recorders
        store = self._files.store(self._checkpoint, self._context.io)
        if self._kind == "read":
            entries = self._files.written[self._checkpoint]
            return Reads(parts, recorders, files, store, entries)
        if snapshot is None:
            return Writes(parts, recorders, files, store, self._checkpoint)
        copies = self._context.copies
        return Drains(parts, recorders, files, copies, snapshot.work.complete, store)

    def _counts(self, work: FileWork) -> WorkCounts:
        return WorkCounts(0, 0, work.in_flight, work.corrupt_files)


@dataclass(frozen=True)
class _Snapshot:
    """A copy of a rank's share in memory."""

    copied_s: float
    """Seconds that the copies themselves took: a training job has the content already."""
    work: Snapshots
