"""One window of all ranks in which the lanes of each do their work, and what it measures."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from mlpstorage_bench.measure.clock import RealClock
from mlpstorage_bench.measure.process import reset_peak_rss
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.queues import QueueOpener
from mlpstorage_bench.trial.common_window import RankPlace
from mlpstorage_bench.trial.counter_probe import UsableCounters
from mlpstorage_bench.trial.lane_files import LaneFiles
from mlpstorage_bench.trial.lanes import LaneShape, open_lanes
from mlpstorage_bench.trial.rank_window import RankWindow
from mlpstorage_bench.trial.trial_window import (
    STEADY,
    LaneGroup,
    LaneState,
    TrialWindow,
    all_done,
)
from mlpstorage_bench.trial.watch import Watch, WatchedTrial, WorkCounts

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
    stopping, lanes, window = threading.Event(), _Lanes(), Window(RealClock())
    recorders = [Recorder(window) for _ in range(shape.lanes)]
    place = RankPlace(
        rank=context.rank,
        host=context.host,
        io_mode=context.io_mode,
        counters=context.counters,
        chunk_bytes=shape.chunking.chunk_bytes,
    )
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

        io_threads = min(shape.io_threads, shape.lanes)
        group = LaneGroup(threads, recorders, stopping, io_threads, context.queues)
        watched = WatchedTrial(0.0, 0.0, STEADY, counts)
        measured = resources.enter_context(TrialWindow(window, place, group, ranks, watch, watched))
        ranks.barrier()
        measured.common.compare_clocks()
        measured.open(None)
        futures = measured.start([partial(lanes.run, work, one) for one in lanes.files])
        closed_by = measured.wait(futures, all_done(futures))
        measured.close(futures)
        return measured.record(
            closed_by,
            LaneState.of(opened),
            corruption=next((one.corruption for one in lanes.files if one.corruption), ""),
            ended_ns=lanes.ended_ns,
        )
