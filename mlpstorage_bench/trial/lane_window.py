"""One window of all ranks in which the lanes of each do their work, and what it measures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from mlpstorage_bench.measure.clock import RealClock
from mlpstorage_bench.measure.clock_offset import CommonTime, WindowEdges
from mlpstorage_bench.measure.process import peak_rss_bytes, reset_peak_rss
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.steadiness import Criterion
from mlpstorage_bench.measure.throttling import ThrottlingCounter
from mlpstorage_bench.measure.wait_sampler import WaitSampler
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.mpi.ranks import Notice, TrialRanks
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.queues import QueueOpener
from mlpstorage_bench.storage.transfer_code import TRANSFER_CODE
from mlpstorage_bench.trial.common_start import common_moment_ns, sleep_until
from mlpstorage_bench.trial.counter_probe import UsableCounters
from mlpstorage_bench.trial.lane_files import LaneFiles
from mlpstorage_bench.trial.lanes import LaneShape, open_lanes
from mlpstorage_bench.trial.rank_window import RankWindow
from mlpstorage_bench.trial.series_recorder import SeriesRecorder
from mlpstorage_bench.trial.supervisor import FAILURE, TrialSupervisor, failure_of
from mlpstorage_bench.trial.watch import Watch, WatchedTrial, WorkCounts
from mlpstorage_bench.trial.window_counters import WindowCounters
from mlpstorage_bench.units import NS_PER_S

COMPLETE = "complete"
"""Reason for which a rank's window closes: its lanes have done their work."""
_NEVER_S = 10 * 365 * 86_400.0
"""Length of a window that the end of the work closes."""
_CRITERION = Criterion(window_s=10.0, slope=0.05, deviation=0.2)

LaneWork = Callable[[LaneFiles], None]
"""Work of each lane of a trial: it writes and reads files, and returns when it is done."""


@dataclass(frozen=True)
class LaneContext:
    """Everything about a rank's trial that is not its work."""

    rank: int
    host: str
    io_mode: IoMode
    store: EntryFiles
    queues: QueueOpener
    counters: UsableCounters
    payload: Payload
    alignment_bytes: int
    """Unit of the files' sizes."""


@dataclass
class _Lanes:
    """The lanes' files, and when the last lane had ended its work."""

    files: list[LaneFiles] = field(default_factory=list)
    ended_ns: int = 0

    def run(self, work: LaneWork, files: LaneFiles) -> None:
        """Do the work of one lane."""
        try:
            work(files)
        finally:
            self.ended_ns = max(self.ended_ns, files.recorder.window.clock.now_ns())


def _note_written(left: dict[str, int], files: LaneFiles) -> None:
    left.update(files.written)


def measure_lanes(
    context: LaneContext,
    shape: LaneShape,
    work: LaneWork,
    ranks: TrialRanks,
    watch: Watch,
    left: dict[str, int],
) -> RankWindow:
    """Run the work of every lane of all ranks from a common start until it is done.

    `left` receives the sizes of the files that are begun, by name. A failure is in the result, with
    the measurements until then; it closes the windows of all ranks.
    """
    reset_peak_rss()
    clock, stopping, lanes = RealClock(), threading.Event(), _Lanes()
    window = Window(clock)
    recorders = [Recorder(window) for _ in range(shape.lanes)]
    with ranks.defer_interrupts(), ExitStack() as resources:
        threads, opened = open_lanes(resources, shape, context.payload, stopping, context.queues)
        lanes.files = [
            LaneFiles(number, lane, context.store, recorders[number], context.alignment_bytes)
            for number, lane in enumerate(opened)
        ]
        for one in lanes.files:
            resources.callback(partial(_note_written, left, one))

        def counts() -> WorkCounts:
            wrong = sum(bool(one.corruption) for one in lanes.files)
            return WorkCounts(0, 0, sum(lane.in_flight for lane in opened), wrong)

        series = SeriesRecorder(
            recorders, watch.of_trial(WatchedTrial(0.0, 0.0, _CRITERION, counts))
        )
        supervisor = TrialSupervisor(
            *(threads, stopping, ranks), on_poll=lambda: series.sample(clock.now_ns())
        )
        waits = resources.enter_context(WaitSampler(TRANSFER_CODE))
        resources.callback(supervisor.join)
        throttling = ThrottlingCounter()
        ranks.barrier()
        offset = ranks.clock_offset(clock.now_ns)
        throttled = throttling.read()
        opens_ns = common_moment_ns(ranks, clock, offset)
        sleep_until(clock, opens_ns)
        window.open(_NEVER_S, opens_ns)
        series.begin("window", opens_ns)
        opened_at = time.time()
        before = WindowCounters.at_start(
            window,
            context.counters,
            threads.threads,
            threads.lanes_ready_ns,
            delayed=threads.delayed,
        )
        futures = supervisor.start([partial(lanes.run, work, one) for one in lanes.files])

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
            window,
            context.counters,
            threads.threads,
            threads.lanes_ready_ns,
            delayed=threads.delayed,
        )
        throttled_share = throttling.read().share_since(throttled)
        supervisor.join()
        series.end(window.closes_ns)
        failure = failure_of(futures)
        ranks.barrier()
        common = CommonTime(offset, ranks.clock_offset(clock.now_ns))
        ended_ns = max(lanes.ended_ns, window.opened_ns)
        return RankWindow(
            rank=context.rank,
            host=context.host,
            edges=WindowEdges.of(window.opened_ns, ended_ns, common),
            opened_at=opened_at,
            window_s=(ended_ns - window.opened_ns) / NS_PER_S,
            drain_s=0.0,
            closed_by=closed_by,
            io_mode=context.io_mode,
            in_flight=sum(lane.max_in_flight for lane in opened),
            movers=threads.movers or len(opened),
            lanes=len(opened),
            io_threads=min(shape.io_threads, shape.lanes),
            io_queue=context.queues.kind,
            io_queue_refusal=context.queues.refusal,
            chunk_bytes=shape.chunking.chunk_bytes,
            operations=Recorder.total(recorders),
            process_traffic=after.process_since(before),
            device_traffic=after.device_since(before),
            underlying_traffic=after.underlying_since(before),
            mount_traffic=after.mount_since(before),
            cpu_s=after.cpu_s - before.cpu_s,
            lane_time=after.threads.since(before.threads, len(opened), 0, waits.shares),
            throttled_share=throttled_share,
            peak_rss_bytes=peak_rss_bytes(),
            corruption=next((one.corruption for one in lanes.files if one.corruption), ""),
            failure=failure,
            series=series.slots(common),
            queue_unavailable_reason=next(
                (lane.queue_unavailable_reason for lane in opened if lane.queue_unavailable_reason),
                "",
            ),
            huge_page_share=opened[0].huge_page_share,
        )
