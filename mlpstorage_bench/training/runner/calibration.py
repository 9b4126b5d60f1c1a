"""Calibration: the harness's own limit on this host, with the same reads but without storage."""

from __future__ import annotations

from array import array

from mlpstorage_bench.measure.ceiling import Ceiling
from mlpstorage_bench.measure.operation_statistics import STORAGE_TIER
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.storage.queues import moves_buffered
from mlpstorage_bench.storage.store import StoredEntry
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.dataset.raw_files import payload_of
from mlpstorage_bench.training.runner.context import TrainingContext
from mlpstorage_bench.trial import calibration
from mlpstorage_bench.trial.calibration import CalibratedLane, Repeated
from mlpstorage_bench.trial.lanes import LaneShape

_SECONDS = 0.15
"""Length of each of the two measurements."""


def calibrate(
    workload: TrainingWorkload, context: TrainingContext, ranks: TrialRanks
) -> Ceiling | None:
    """Measure this rank's ceiling while all ranks measure theirs; None if nothing was read."""
    kind = context.best_queue if workload.io_queue == "auto" else workload.io_queue
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

    def reads(own: CalibratedLane) -> Repeated:
        def read() -> None:
            observer = own.recorder.observe(STORAGE_TIER, "read", size)
            own.lane.read(own.store, entry, observer)
            observer.done()

        return read

    return calibration.calibrate(
        shape,
        payload_of(context.place),
        ranks,
        reads,
        _SECONDS,
        is_queued=context.io_mode == "direct" or moves_buffered(kind),
    )
