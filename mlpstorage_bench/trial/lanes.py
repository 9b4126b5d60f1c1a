"""The lanes of a trial, with their IO threads and buffers."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass

from mlpstorage_bench.storage.buffers import BufferPool
from mlpstorage_bench.storage.io_threads import IoThreads
from mlpstorage_bench.storage.lane import Lane, buffers_for
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Chunking
from mlpstorage_bench.storage.transfers import OpenQueue


@dataclass(frozen=True)
class LaneShape:
    """How many lanes a rank has, and how each moves its entries."""

    lanes: int
    chunking: Chunking
    chunks_in_flight: int = 1
    """Number for each lane."""
    io_threads: int = 1
    """Threads that serve the lanes."""
    verify_rate: float = 1.0
    """Share of the reads whose content is checked."""


def open_threads(
    resources: ExitStack, shape: LaneShape, open_queue: OpenQueue | None
) -> tuple[IoThreads, BufferPool]:
    """Start IO threads, and return them with the buffers of their lanes; `resources` ends them.

    Without `open_queue`, chunks are moved by plain calls.
    """
    buffers = BufferPool(
        shape.chunking.chunk_bytes, buffers_for(shape.lanes, shape.chunks_in_flight)
    )
    threads = resources.enter_context(
        IoThreads(
            shape.io_threads,
            open_queue,
            lanes=shape.lanes,
            chunks_in_flight=shape.chunks_in_flight,
            memory=[buffers.memory],
        )
    )
    return threads, buffers


def open_lanes(
    resources: ExitStack,
    shape: LaneShape,
    payload: Payload,
    stopping: threading.Event,
    open_queue: OpenQueue | None,
) -> tuple[IoThreads, list[Lane]]:
    """Start IO threads, and return them with their lanes; `resources` ends the threads.

    Lanes share one pool of buffers. Once `stopping` is set, they end after the chunks that they
    have in flight. Without `open_queue`, chunks are moved by plain calls.
    """
    threads, buffers = open_threads(resources, shape, open_queue)
    lanes = [
        Lane(
            payload,
            shape.chunking,
            stopping,
            threads.of_lane(number),
            chunks_in_flight=shape.chunks_in_flight,
            verify_rate=shape.verify_rate,
            buffers=buffers,
        )
        for number in range(shape.lanes)
    ]
    return threads, lanes
