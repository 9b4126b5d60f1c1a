"""Ceiling of the harness: what the lanes of all ranks reach over stores that keep no data."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from mlpstorage_bench.measure.ceiling import Ceiling
from mlpstorage_bench.measure.operation_statistics import OperationStatistics
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.storage.io_threads import IoThreads
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.lane_waits import CutOffError
from mlpstorage_bench.storage.null import DiscardingStore, NullStore, RingStore
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.trial.lanes import LaneShape, open_lanes
from mlpstorage_bench.trial.supervisor import TrialSupervisor
from mlpstorage_bench.units import GIB


@dataclass(frozen=True)
class CalibratedLane:
    """A lane over a store that keeps no data."""

    number: int
    """Its number on its rank, from 0."""
    lane: Lane
    store: DiscardingStore
    recorder: Recorder


Repeated = Callable[[], None]
"""Part of the work of a lane, which is repeated while its rate is measured."""


def calibrate(
    shape: LaneShape,
    payload: Payload,
    ranks: TrialRanks,
    repeated: Callable[[CalibratedLane], Repeated],
    seconds: float,
    *,
    is_queued: bool,
) -> Ceiling | None:
    """Measure this rank's ceiling while all ranks measure theirs; None if nothing was moved.

    `seconds` is the length of each of the two measurements. `is_queued`: a queue moves the chunks,
    as it does on the storage.
    """
    with ranks.defer_interrupts():
        nothing, memory = (
            _over(store, shape, payload, ranks, repeated, seconds)
            for store in (NullStore(is_queued=is_queued), RingStore(is_queued=is_queued))
        )
    if not nothing.chunks or not memory.moved_bytes:
        return None
    return Ceiling(nothing.chunks / seconds, memory.moved_bytes / GIB / seconds)


def _over(
    store: DiscardingStore,
    shape: LaneShape,
    payload: Payload,
    ranks: TrialRanks,
    repeated: Callable[[CalibratedLane], Repeated],
    seconds: float,
) -> OperationStatistics:
    """Repeat the work of every lane over a store, and return what was moved in the window."""
    window, stopping = Window(), threading.Event()
    recorders = [Recorder(window) for _ in range(shape.lanes)]

    def until_stopped(repeat: Repeated) -> Callable[[], None]:
        def run() -> None:
            try:
                while not stopping.is_set():
                    repeat()
            except CutOffError:
                pass

        return run

    with ExitStack() as resources:
        threads, lanes = open_lanes(resources, shape, payload, stopping, store.open_queue)
        works = [
            until_stopped(repeated(CalibratedLane(number, lane, store, recorders[number])))
            for number, lane in enumerate(lanes)
        ]
        run_works(works, threads, stopping, ranks, window, seconds)
    return OperationStatistics.total(
        one for recorder in recorders for one in recorder.operations.values()
    )


def run_works(
    works: Sequence[Callable[[], None]],
    threads: IoThreads,
    stopping: threading.Event,
    ranks: TrialRanks,
    window: Window,
    seconds: float,
) -> None:
    """Run the work of each lane in a window that all ranks open, and stop the lanes at its end.

    The window lasts for `seconds`, or until all work is done. The failure of a lane is raised.
    """
    supervisor = TrialSupervisor(
        threads,
        stopping,
        ranks,
        on_poll=lambda: None,
        remaining_s=lambda: window.remaining_s,
    )
    try:
        ranks.barrier()
        window.open(seconds)
        futures = supervisor.start(works)

        def ended() -> str | None:
            is_over = window.is_over or all(one.done() for one in futures)
            return "duration" if is_over else None

        supervisor.wait_or_raise(futures, ended)
    finally:
        supervisor.join()
