"""Calibration: the harness's own limit on this host, with the same reads but without storage."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable
from contextlib import ExitStack

from mlpstorage_bench.measure.ceiling import Ceiling
from mlpstorage_bench.measure.recorder import STORAGE_TIER, OperationStatistics, Recorder
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.lane_waits import CutOffError
from mlpstorage_bench.storage.null import NullStore, RingStore
from mlpstorage_bench.storage.queues import moves_buffered
from mlpstorage_bench.storage.store import StoredEntry
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.dataset.raw_files import payload_of
from mlpstorage_bench.training.runner.context import TrainingContext
from mlpstorage_bench.trial.lanes import LaneShape, open_lanes
from mlpstorage_bench.trial.supervisor import TrialSupervisor
from mlpstorage_bench.units import GIB

_SECONDS = 0.15
"""Length of each of the two measurements."""


def calibrate(
    workload: TrainingWorkload, context: TrainingContext, ranks: TrialRanks
) -> Ceiling | None:
    """Measure this rank's ceiling while all ranks measure theirs; None if no time passed."""
    kind = context.best_queue if workload.io_queue == "auto" else workload.io_queue
    is_queued = context.io_mode == "direct" or moves_buffered(kind)
    with ranks.defer_interrupts():
        nothing = _over(NullStore(is_queued=is_queued), workload, context, ranks)
        memory = _over(RingStore(is_queued=is_queued), workload, context, ranks)
    if not nothing.chunks or not memory.moved_bytes:
        return None
    return Ceiling(nothing.chunks / _SECONDS, memory.moved_bytes / GIB / _SECONDS)


def _over(
    store: NullStore | RingStore,
    workload: TrainingWorkload,
    context: TrainingContext,
    ranks: TrialRanks,
) -> OperationStatistics:
    """Read pieces from a store that keeps no data, on all lanes, and return what was read."""
    window, stopping = Window(), threading.Event()
    shape = LaneShape(
        workload.lanes,
        context.chunking,
        workload.chunks_in_flight,
        min(workload.io_threads, workload.lanes),
        workload.verify_rate,
    )
    size = context.place.dataset.read_pieces(0, 0)[0].size
    digests = array("Q", bytes(8 * context.chunking.count(size)))
    entry = StoredEntry("calibration", size, 0, digests)
    recorders = [Recorder(window) for _ in range(workload.lanes)]

    def reads(lane: Lane, recorder: Recorder) -> Callable[[], None]:
        def read_until_stopped() -> None:
            try:
                while not stopping.is_set():
                    observer = recorder.observe(STORAGE_TIER, "read", size)
                    lane.read(store, entry, observer)
                    observer.done()
            except CutOffError:
                pass

        return read_until_stopped

    with ExitStack() as resources:
        threads, lanes = open_lanes(
            resources, shape, payload_of(context.place), stopping, store.open_queue
        )
        supervisor = TrialSupervisor(
            threads,
            stopping,
            ranks,
            on_poll=lambda: None,
            remaining_s=lambda: window.remaining_s,
        )
        resources.callback(supervisor.join)
        ranks.barrier()
        window.open(_SECONDS)
        works = [reads(*one) for one in zip(lanes, recorders, strict=True)]
        futures = supervisor.start(works)
        supervisor.wait_or_raise(futures, lambda: "duration" if window.is_over else None)
    return OperationStatistics.total(
        one for recorder in recorders for one in recorder.operations.values()
    )
