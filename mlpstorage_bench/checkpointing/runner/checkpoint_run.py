"""One checkpoint on one rank: its lanes, its window, and its measurements."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass

from mlpstorage_bench.checkpointing.config.parameters import Kind, Parameters
from mlpstorage_bench.checkpointing.results.rank_checkpoint import RankCheckpoint
from mlpstorage_bench.checkpointing.runner.lane_works import (
    MEMORY_TIER,
    Drains,
    FileWork,
    LaneParts,
    Reads,
    Snapshots,
    Writes,
)
from mlpstorage_bench.checkpointing.runner.share_files import ShareFiles
from mlpstorage_bench.measure.clock import RealClock
from mlpstorage_bench.measure.clock_offset import CommonTime, WindowEdges
from mlpstorage_bench.measure.process import peak_rss_bytes, reset_peak_rss
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.steadiness import Criterion
from mlpstorage_bench.measure.throttling import ThrottlingCounter
from mlpstorage_bench.measure.wait_sampler import WaitSampler
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.mpi.ranks import Notice, TrialRanks
from mlpstorage_bench.storage.buffers import BufferPool
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.io_threads import IoThreads
from mlpstorage_bench.storage.kernel_queue import QueueChoice
from mlpstorage_bench.storage.lane import buffers_for
from mlpstorage_bench.storage.memory import MemoryStore
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.queues import QueueOpener
from mlpstorage_bench.storage.transfer_code import TRANSFER_CODE
from mlpstorage_bench.trial.common_start import common_moment_ns, sleep_until
from mlpstorage_bench.trial.counter_probe import UsableCounters
from mlpstorage_bench.trial.series_recorder import SeriesRecorder
from mlpstorage_bench.trial.supervisor import FAILURE, TrialSupervisor, failure_of
from mlpstorage_bench.trial.watch import Watch, WatchedTrial, WorkCounts
from mlpstorage_bench.trial.window_counters import WindowCounters
from mlpstorage_bench.units import KIB, MIB, NS_PER_S

COMPLETE = "complete"
"""Reason for which a rank's window closes: all its files are complete."""
_NEVER_S = 10 * 365 * 86_400.0
"""Length of a window that the end of the work closes."""
SLOT_BYTES = 16 * MIB
"""Unit of memory for copies of files."""
_CRITERION = Criterion(window_s=10.0, slope=0.05, deviation=0.2)


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
        self._lanes = max(1, min(parameters.lanes, len(files.files)))
        self._io_threads = min(parameters.io_threads, self._lanes)
        chosen = parameters.io_queue
        self._queues = QueueOpener(
            context.queue if chosen == "auto" else chosen, uses_workers=context.uses_workers
        )
        self._recorders = [Recorder(self._window) for _ in range(self._lanes)]
        self._throttling = ThrottlingCounter()

    def run(self, ranks: TrialRanks, watch: Watch) -> RankCheckpoint:
        """Move the files, and return what was measured."""
        window, context = self._window, self._context
        with ExitStack() as resources:
            parts = self._open_lanes(resources)
            copies = context.copies
            resources.callback(self._forget_copies)
            if self._kind == "write":
                self._files.remove(self._checkpoint)
            ranks.barrier()
            watched = WatchedTrial(0.0, 0.0, _CRITERION, lambda: self._counts(work))
            series = SeriesRecorder(self._recorders, watch.of_trial(watched))
            supervisor = TrialSupervisor(
                *(parts.threads, self._stopping, ranks),
                on_poll=lambda: series.sample(self._clock.now_ns()),
            )
            waits = resources.enter_context(WaitSampler(TRANSFER_CODE))
            resources.callback(supervisor.join)
            snapshot = self._take_snapshot(parts, copies, supervisor)
            work = self._work(parts, copies, snapshot)
            offset = ranks.clock_offset(self._clock.now_ns)
            throttled = self._throttling.read()
            moment_ns = common_moment_ns(ranks, self._clock, offset)
            sleep_until(self._clock, moment_ns)
            window.open(_NEVER_S, moment_ns)
            series.begin("window", moment_ns)
            opened_at = time.time()
            threads = parts.threads
            before = WindowCounters.at_start(
                *(
                    window,
                    context.counters,
                    threads.threads,
                    threads.lanes_ready_ns,
                    threads.delayed,
                )
            )
            futures = supervisor.start(work.of_lanes(self._lanes))

            def ended() -> str | None:
                waits.sample(threads.threads, threads.note_wait)
                if all(future.done() for future in futures):
                    return COMPLETE
                return "another rank" if ranks.poll(Notice.CLOSING) else None

            closed_by = supervisor.wait(futures, ended)
            if closed_by == FAILURE:
                ranks.announce(Notice.CLOSING)
            window.close()
            series.drain()
            supervisor.stop()
            after = WindowCounters.at_end(
                *(
                    window,
                    context.counters,
                    threads.threads,
                    threads.lanes_ready_ns,
                    threads.delayed,
                )
            )
            throttled_share = self._throttling.read().share_since(throttled)
            supervisor.join()
            series.end(window.closes_ns)
            failure = failure_of(futures)
            ranks.barrier()
            common = CommonTime(offset, ranks.clock_offset(self._clock.now_ns))
            ended_ns = max(work.ended_ns, window.opened_ns)
            if self._kind == "write" and failure is None and closed_by == COMPLETE:
                self._files.written[self._checkpoint] = work.complete
            return RankCheckpoint(
                rank=context.rank,
                host=context.host,
                kind=self._kind,
                checkpoint=self._checkpoint,
                tensor_bytes=self._files.tensor_bytes,
                files=len(work.complete),
                corrupt_files=work.corrupt_files,
                snapshot_s=None if snapshot is None else snapshot.copied_s,
                interval_s=self._parameters.time_between_checkpoints,
                edges=WindowEdges.of(window.opened_ns, ended_ns, common),
                opened_at=opened_at,
                window_s=(ended_ns - window.opened_ns) / NS_PER_S,
                drain_s=0.0,
                closed_by=closed_by,
                io_mode=context.io.mode,
                in_flight=max(1, work.in_flight),
                movers=threads.movers or self._lanes,
                lanes=self._lanes,
                io_threads=self._io_threads,
                io_queue=self._queues.kind,
                io_queue_refusal=self._queues.refusal,
                chunk_bytes=self._parameters.io_chunk_kib * KIB,
                operations=Recorder.total(self._recorders),
                process_traffic=after.process_since(before),
                device_traffic=after.device_since(before),
                underlying_traffic=after.underlying_since(before),
                mount_traffic=after.mount_since(before),
                cpu_s=after.cpu_s - before.cpu_s,
                lane_time=after.threads.since(before.threads, self._lanes, 0, waits.shares),
                throttled_share=throttled_share,
                peak_rss_bytes=peak_rss_bytes(),
                corruption=work.corruption,
                failure=failure,
                series=series.slots(common),
                queue_unavailable_reason=work.refusal,
                huge_page_share=parts.buffers.huge_page_share,
            )

    def discard(self) -> None:
        """Remove the files of a checkpoint that is not complete."""
        if self._kind == "write":
            self._files.remove(self._checkpoint)

    def _open_lanes(self, resources: ExitStack) -> LaneParts:
        parameters = self._parameters
        in_flight = parameters.chunks_in_flight
        buffers = BufferPool(parameters.io_chunk_kib * KIB, buffers_for(self._lanes, in_flight))
        threads = resources.enter_context(
            IoThreads(
                *(self._io_threads, self._queues),
                lanes=self._lanes,
                chunks_in_flight=in_flight,
                memory=[buffers.memory],
            )
        )
        return LaneParts(
            self._context.payload,
            self._stopping,
            buffers,
            threads,
            in_flight,
            parameters.verify_rate,
        )

    def _take_snapshot(
        self, parts: LaneParts, copies: MemoryStore, supervisor: TrialSupervisor
    ) -> _Snapshot | None:
        """Copy the rank's share to memory, if the checkpoint is asynchronous."""
        if self._kind == "read" or not self._parameters.asynchronous:
            return None
        if not copies.has_free_slots:  # a training job has its memory before it copies to it
            self._copy(parts, copies, supervisor)
            self._forget_copies()
        recorders, work = self._copy(parts, copies, supervisor)
        copied_ns = sum(
            one.chunk.sum_ns
            for key, one in Recorder.total(recorders).items()
            if key.tier == MEMORY_TIER
        )
        return _Snapshot(copied_ns / self._io_threads / NS_PER_S, work)

    def _copy(
        self, parts: LaneParts, copies: MemoryStore, supervisor: TrialSupervisor
    ) -> tuple[list[Recorder], Snapshots]:
        window = Window(self._clock)
        window.open(_NEVER_S)
        recorders = [Recorder(window) for _ in range(self._lanes)]
        work = Snapshots(parts, recorders, [*self._files.files], copies, self._checkpoint)
        futures = supervisor.start(work.of_lanes(self._lanes))
        supervisor.wait_or_raise(futures, _until_done(futures))
        return recorders, work

    def _forget_copies(self) -> None:
        for file in self._files.files:
            self._context.copies.delete(file.name)

    def _work(self, parts: LaneParts, copies: MemoryStore, snapshot: _Snapshot | None) -> FileWork:
        files, recorders = [*self._files.files], self._recorders
        store = self._files.store(self._checkpoint, self._context.io)
        if self._kind == "read":
            entries = self._files.written[self._checkpoint]
            return Reads(parts, recorders, files, store, entries)
        if snapshot is None:
            return Writes(parts, recorders, files, store, self._checkpoint)
        return Drains(parts, recorders, files, copies, snapshot.work.complete, store)

    def _counts(self, work: FileWork) -> WorkCounts:
        return WorkCounts(0, 0, work.in_flight, work.corrupt_files)


@dataclass(frozen=True)
class _Snapshot:
    """A copy of a rank's share in memory."""

    copied_s: float
    """Seconds that the copies themselves took: a training job has the content already."""
    work: Snapshots


def _until_done(futures: Sequence[Future[None]]) -> Callable[[], str | None]:
    return lambda: COMPLETE if all(future.done() for future in futures) else None
