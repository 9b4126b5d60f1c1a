"""Ceiling of the harness: checkpoints that are written or read while storage costs nothing."""

from __future__ import annotations

import threading
from array import array
from contextlib import ExitStack

from mlpstorage_bench.checkpointing.config.parameters import Kind, Parameters
from mlpstorage_bench.checkpointing.runner.lane_parts import LaneParts, lane_shape
from mlpstorage_bench.checkpointing.runner.lane_works import (
    FileWork,
    Reads,
    Writes,
)
from mlpstorage_bench.checkpointing.runner.share_files import ShareFile
from mlpstorage_bench.measure.ceiling import Ceiling
from mlpstorage_bench.measure.operation_statistics import STORAGE_TIER
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.storage.null import NullStore, RingStore
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import StoredEntry
from mlpstorage_bench.trial.calibration import run_works
from mlpstorage_bench.units import GIB, NS_PER_S

_MOST_S = 0.3
"""Time of one measurement."""


def calibrate(
    parameters: Parameters,
    ranks: TrialRanks,
    payload: Payload,
    files: tuple[ShareFile, ...],
    kind: Kind,
    *,
    is_queued: bool,
) -> Ceiling | None:
    """Measure this rank's ceiling while all ranks measure theirs; None if nothing was moved.

    `is_queued`: a queue moves the chunks of its files, as it does on the storage.
    """
    with ranks.defer_interrupts():
        operations = _run(NullStore(is_queued=is_queued), parameters, ranks, payload, files, kind)
        bandwidth = _run(RingStore(is_queued=is_queued), parameters, ranks, payload, files, kind)
    if operations is None or bandwidth is None:
        return None
    return Ceiling(operations[0], bandwidth[1])


def _run(
    store: NullStore | RingStore,
    parameters: Parameters,
    ranks: TrialRanks,
    payload: Payload,
    files: tuple[ShareFile, ...],
    kind: Kind,
) -> tuple[float, float] | None:
    """Return chunks per second and GiB/s; None if no chunk was moved."""
    shape, window, stopping = lane_shape(parameters, files), Window(), threading.Event()
    recorders = [Recorder(window) for _ in range(shape.lanes)]
    with ExitStack() as resources:
        parts = LaneParts.opened(resources, shape, payload, stopping, store.open_queue)
        work = _work(parts, recorders, files, kind, store)
        run_works(work.of_lanes(), parts.threads, stopping, ranks, window, _MOST_S)
    moved = [one for key, one in Recorder.total(recorders).items() if key.tier == STORAGE_TIER]
    chunks = sum(one.chunks for one in moved)
    seconds = (min(work.ended_ns, window.closes_ns) - window.opened_ns) / NS_PER_S
    if not chunks or seconds <= 0:
        return None
    return chunks / seconds, sum(one.moved_bytes for one in moved) / GIB / seconds


def _work(
    parts: LaneParts,
    recorders: list[Recorder],
    files: tuple[ShareFile, ...],
    kind: Kind,
    store: NullStore | RingStore,
) -> FileWork:
    if kind == "write":
        return Writes(parts, recorders, [*files], store, 0)
    digested = parts.shape.verify_rate > 0
    entries = {
        file.name: StoredEntry(
            file.name,
            file.stored_bytes,
            0,
            array("Q", bytes(8 * digested * file.chunking.count(file.stored_bytes))),
        )
        for file in files
    }
    return Reads(parts, recorders, [*files], store, entries)
