"""Lanes that move the files of a checkpoint: their number, and what they share."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from mlpstorage_bench.checkpointing.config.parameters import Parameters
from mlpstorage_bench.checkpointing.runner.share_files import ShareFile
from mlpstorage_bench.storage.buffers import BufferPool
from mlpstorage_bench.storage.io_threads import IoThreads
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Chunking
from mlpstorage_bench.storage.transfers import OpenQueue
from mlpstorage_bench.trial.lanes import LaneShape, open_threads
from mlpstorage_bench.units import KIB


def lane_shape(parameters: Parameters, files: Sequence[ShareFile]) -> LaneShape:
    """Return the lanes of a rank with so many files, one lane at least."""
    lanes = max(1, min(parameters.lanes, len(files)))
    return LaneShape(
        lanes,
        Chunking(parameters.io_chunk_kib * KIB),
        parameters.chunks_in_flight,
        min(parameters.io_threads, lanes),
        parameters.verify_rate,
    )


@dataclass(frozen=True)
class LaneParts:
    """Objects that the lanes of a rank share."""

    shape: LaneShape
    payload: Payload
    stopping: threading.Event
    """Once set, lanes end after the chunks that they have in flight."""
    threads: IoThreads
    buffers: BufferPool

    @classmethod
    def opened(
        cls,
        resources: ExitStack,
        shape: LaneShape,
        payload: Payload,
        stopping: threading.Event,
        open_queue: OpenQueue | None,
    ) -> Self:
        """Start IO threads, and return them with what else lanes share; `resources` ends them."""
        threads, buffers = open_threads(resources, shape, open_queue)
        return cls(shape, payload, stopping, threads, buffers)
