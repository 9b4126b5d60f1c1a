"""The load of a case whose lanes write and read files, and the harness's ceiling for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.measure.ceiling import Ceiling
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.queues import moves_buffered
from mlpstorage_bench.storage.store import Chunking
from mlpstorage_bench.trial.calibration import CalibratedLane, Repeated, calibrate
from mlpstorage_bench.trial.lane_files import LaneFiles
from mlpstorage_bench.trial.lane_window import LaneWork
from mlpstorage_bench.trial.lanes import LaneShape
from mlpstorage_bench.trial.storage_modes import StorageModes
from mlpstorage_bench.units import KIB


@dataclass(frozen=True)
class LaneLoad:
    """The load of a case on each rank."""

    work: LaneWork
    lanes: int
    parameters: Json
    """The case's, for the result of each rank."""
    chunk_kib: int = 1024
    chunks_in_flight: int = 1
    io_threads: int = 1
    verify_rate: float = 1.0
    calibration_s: float = 0.15
    """Seconds of each of the two measurements of the harness's ceiling, before the first trial; 0
    skips them.

    They repeat the work over stores that keep no data: work that waits on purpose needs 0, as its
    rate is not the harness's. Without a ceiling, the limit of a trial is `not calibrated`.
    """

    @property
    def shape(self) -> LaneShape:
        """The lanes of a rank."""
        return LaneShape(
            self.lanes,
            Chunking(self.chunk_kib * KIB),
            self.chunks_in_flight,
            min(self.io_threads, self.lanes),
            self.verify_rate,
        )


def ceiling_of(
    load: LaneLoad, storage: StorageModes, payload: Payload, ranks: TrialRanks
) -> Ceiling | None:
    """Measure this rank's ceiling while all ranks measure theirs.

    None if the load skips it, or moved nothing.
    """
    if not load.calibration_s:
        return None
    mode = storage.mode(None)
    alignment_bytes = storage.alignment(None, load.chunk_kib)

    def repeated(own: CalibratedLane) -> Repeated:
        files = LaneFiles(own.number, own.lane, own.store, own.recorder, alignment_bytes)
        return partial(load.work, files)

    return calibrate(
        load.shape,
        payload,
        ranks,
        repeated,
        load.calibration_s,
        is_queued=mode == "direct" or moves_buffered(storage.queue(mode)),
    )
