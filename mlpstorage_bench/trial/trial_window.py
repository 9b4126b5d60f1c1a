"""The window of a rank's lanes: supervised from its opening to its close, and measured."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Self

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.steadiness import Criterion
from mlpstorage_bench.measure.wait_sampler import WaitSampler
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.mpi.ranks import Notice, TrialRanks
from mlpstorage_bench.storage.io_threads import IoThreads
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.queues import QueueOpener
from mlpstorage_bench.storage.transfer_code import TRANSFER_CODE
from mlpstorage_bench.trial.common_window import CommonWindow, RankPlace, RankWork
from mlpstorage_bench.trial.rank_window import RankWindow
from mlpstorage_bench.trial.series_recorder import SeriesRecorder
from mlpstorage_bench.trial.supervisor import FAILURE, TrialSupervisor, failure_of
from mlpstorage_bench.trial.watch import Watch, WatchedTrial

COMPLETE = "complete"
"""Reason for which a window closes: the lanes have done their work."""
ANOTHER_RANK = "another rank"
"""Reason for which a window closes: that of another rank has closed."""
STEADY = Criterion(window_s=10.0, slope=0.05, deviation=0.2)
"""When the bandwidth of work without a parameter for it is shown as steady."""


@dataclass(frozen=True)
class LaneGroup:
    """The lanes of a rank, with their threads and the recorder of each."""

    threads: IoThreads
    recorders: Sequence[Recorder]
    stopping: threading.Event
    """Once set, lanes end after the chunks that they have in flight."""
    io_threads: int
    queues: QueueOpener


@dataclass(frozen=True)
class LaneState:
    """How the lanes moved their chunks."""

    in_flight: int
    """Chunks that all lanes together can have in flight."""
    huge_page_share: float | None
    queue_unavailable_reason: str

    @classmethod
    def of(cls, lanes: Sequence[Lane]) -> LaneState:
        """Return the state of lanes that the whole trial has used."""
        refusals = [one.queue_unavailable_reason for one in lanes if one.queue_unavailable_reason]
        return cls(
            sum(one.max_in_flight for one in lanes),
            lanes[0].huge_page_share,
            refusals[0] if refusals else "",
        )


class TrialWindow:
    """Runs work on lanes in a window of all ranks. A context manager, which stops the lanes."""

    def __init__(
        self,
        window: Window,
        place: RankPlace,
        lanes: LaneGroup,
        ranks: TrialRanks,
        watch: Watch | None,
        watched: WatchedTrial,
        *,
        stop_work: Callable[[], None] = lambda: None,
    ) -> None:
        self._window = window
        self.common = CommonWindow(window, place, ranks, lanes.threads)
        self._lanes = lanes
        self._ranks = ranks
        self.series = SeriesRecorder(
            lanes.recorders, None if watch is None else watch.of_trial(watched)
        )
        self.supervisor = TrialSupervisor(
            lanes.threads,
            lanes.stopping,
            signals=ranks,
            on_poll=lambda: self.series.sample(window.clock.now_ns()),
            remaining_s=lambda: window.remaining_s,
            stop_work=stop_work,
        )
        self._waits = WaitSampler(TRANSFER_CODE)
        self._resources = ExitStack()
        self._drained_ns: int
        self._failure: MlpsError | None = None
        """Error of a lane that has closed the window."""

    def __enter__(self) -> Self:
        self._resources.enter_context(self._waits)
        self._resources.callback(self.supervisor.join)
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    @property
    def opened_ns(self) -> int:
        """When the window opened."""
        return self._window.opened_ns

    @property
    def length_ns(self) -> int:
        """Length of the window, once it has closed."""
        return self._window.closes_ns - self._window.opened_ns

    def open(self, length_s: float | None) -> None:
        """Open the window on all ranks together; None: until their work ends."""
        opens_ns = self.common.open(length_s)
        self.series.end(opens_ns)
        self.series.begin("window", opens_ns)
        self.common.read_start()

    def start(self, works: Sequence[Callable[[], None]]) -> list[Future[None]]:
        """Run one function on each lane."""
        return self.supervisor.start(works)

    def wait(self, futures: Sequence[Future[None]], ended: Callable[[], str | None]) -> str:
        """Wait until `ended` returns a reason to close the window, and return it.

        FAILURE if a lane fails, and ANOTHER_RANK if another rank has closed its window for that.
        PeerError if another rank fails.
        """
        threads = self._lanes.threads

        def reason() -> str | None:
            self._waits.sample(threads.threads, threads.note_wait)
            own = ended()
            if own is not None:
                return own
            return ANOTHER_RANK if self._ranks.poll(Notice.CLOSING) else None

        closed_by = self.supervisor.wait(futures, reason)
        if closed_by == FAILURE:
            self._ranks.announce(Notice.CLOSING)
        return closed_by

    def close(self, futures: Sequence[Future[None]], closes_ns: int | None = None) -> None:
        """Close the window, by default now, and wait for lanes and ranks."""
        window = self._window
        window.close()
        if closes_ns is not None:
            window.closes_ns = max(window.opened_ns, min(window.closes_ns, closes_ns))
        self.series.drain()
        self.supervisor.stop()  # no operation begins after it
        self.common.read_end()
        self.supervisor.join()
        self._drained_ns = window.clock.now_ns()
        self.series.end(window.closes_ns)
        self._failure = failure_of(futures)
        self.common.end()

    def record(
        self,
        closed_by: str,
        state: LaneState,
        *,
        corruption: str,
        waited_ns: int = 0,
        ended_ns: int | None = None,
    ) -> RankWindow:
        """Return the rank's record, after `close`.

        `waited_ns` is the time of all lanes inside the window in which they had no work. `ended_ns`
        is the end of the work; None if that is the close of the window.
        """
        lanes, common = self._lanes, self.common
        count = len(lanes.recorders)
        work = RankWork(
            closed_by=closed_by,
            lanes=count,
            in_flight=state.in_flight,
            movers=lanes.threads.movers or count,
            operations=Recorder.total(lanes.recorders),
            corruption=corruption,
            failure=self._failure,
            ended_ns=ended_ns,
            drained_ns=self._drained_ns if ended_ns is None else None,
        )
        return replace(
            common.record(work),
            io_threads=lanes.io_threads,
            io_queue=lanes.queues.kind,
            io_queue_refusal=lanes.queues.refusal,
            lane_time=common.after.threads.since(
                common.before.threads, count, waited_ns, self._waits.shares
            ),
            series=self.series.slots(common.time),
            queue_unavailable_reason=state.queue_unavailable_reason,
            huge_page_share=state.huge_page_share,
        )


def all_done(futures: Sequence[Future[None]]) -> Callable[[], str | None]:
    """Return what tells whether all work is done, as COMPLETE, or None."""
    return lambda: COMPLETE if all(future.done() for future in futures) else None
