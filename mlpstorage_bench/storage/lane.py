"""A lane: what one operation in flight needs, and its transfers chunk by chunk.

Memory does not grow with entries: every operation goes through a pool of buffers, which lanes may
share. A lane is one thread. Its chunks are with the storage while it makes the next or checks the
last; neither lies in the spans of transfers.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Iterator
from typing import Self

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.storage.aio import KernelQueue
from mlpstorage_bench.storage.buffers import BufferPool, round_up_to_sector
from mlpstorage_bench.storage.in_flight import InFlight, OpenQueue, Read
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import (
    Chunk,
    Chunking,
    ChunkReader,
    Observer,
    Store,
    StoredEntry,
)

LARGE_CHUNK_BYTES = 1 << 20
"""From this size on, content takes so long that it had better be made during a transfer."""


class CutOffError(Exception):
    """The run is stopping: an operation ended between two chunks. No fault of the storage."""


class Lane:
    """Writes, reads and copies entries, one at a time, with some chunks of it in flight.

    A context manager: its queue with the kernel ends with it.
    """

    def __init__(
        self,
        payload: Payload,
        chunking: Chunking,
        stopping: threading.Event,
        *,
        chunks_in_flight: int = 1,
        verify_rate: float = 1.0,
        buffers: BufferPool | None = None,
        open_queue: OpenQueue | None = KernelQueue,
    ) -> None:
        self.stopping = stopping
        """Once set, operations end with CutOffError after the chunks that they have in flight."""
        self._payload = payload
        self._chunking = chunking
        self._buffers = buffers or BufferPool(chunking.chunk_bytes, chunks_in_flight + 1)
        self._in_flight = InFlight(open_queue, chunks_in_flight, self._buffers)
        self._verify_rate = verify_rate
        self._owed_checks = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._in_flight.close()

    @property
    def most_in_flight(self) -> int:
        """How many chunks it may have with the storage at once: one, where it has no queue."""
        return self._in_flight.most

    @property
    def huge_page_share(self) -> float | None:
        """How much of its buffers' memory is in huge pages; None where the kernel does not say."""
        return self._buffers.huge_page_share

    @property
    def refusal(self) -> str:
        """Why it has no queue; '' where it has one, or needed none."""
        return self._in_flight.refusal

    def write(
        self, store: Store, name: str, size: int, observer: Observer, *, generation: int = 0
    ) -> StoredEntry:
        """Stream a new entry into the store; on failure or cut-off nothing of it stays there."""
        stored_size = round_up_to_sector(size)
        identity = self._payload.identity(name, generation)
        content = self._payload.content(identity)
        is_digested = self._verify_rate > 0
        digests = array("Q", bytes(8 * self._chunking.count(stored_size) * is_digested))
        try:
            with store.writer(name, stored_size, observer) as writer, self._in_flight as in_flight:
                for chunk in self._chunks(stored_size):
                    buffer = in_flight.take_buffer()
                    content.fill(buffer, chunk.size, chunk.offset)
                    if is_digested:
                        digests[chunk.number] = self._payload.digest(buffer, chunk.size)
                    in_flight.write(writer, buffer, chunk)
                in_flight.finish()
        except BaseException as error:
            _clear_away(store, name, error)
            raise
        return StoredEntry(name, stored_size, identity, digests)

    def read(self, store: Store, entry: StoredEntry, observer: Observer) -> None:
        """Stream an entry from the store and check its chunks, all or at the rate asked for."""
        with store.reader(entry.name, observer) as reader, self._in_flight as in_flight:

            def check(arrived: Read) -> None:
                if entry.digests and self._is_check_due():
                    self._check(arrived, entry, reader, observer, keeps=store.stores_data)
                in_flight.give_back(arrived.buffer)

            for chunk in self._chunks(entry.size):
                in_flight.read(reader, in_flight.take_buffer(), chunk)
                for arrived in in_flight.arrived():
                    check(arrived)
            for arrived in in_flight.arriving():
                check(arrived)

    def copy(
        self, source: Store, target: Store, entry: StoredEntry, read: Observer, write: Observer
    ) -> None:
        """Stream an entry from one store into another; the source keeps its copy.

        Content is carried over unchecked: its digests go with it, and the next read checks it.
        """
        try:
            with (
                source.reader(entry.name, read) as reader,
                target.writer(entry.name, entry.size, write) as writer,
                self._in_flight as in_flight,
            ):
                for chunk in self._chunks(entry.size):
                    in_flight.read(reader, in_flight.take_buffer(), chunk)
                    for arrived in in_flight.arrived():
                        in_flight.write(writer, *arrived)
                for arrived in in_flight.arriving():
                    in_flight.write(writer, *arrived)
        except BaseException as error:
            _clear_away(target, entry.name, error)
            raise

    def _check(
        self,
        arrived: Read,
        entry: StoredEntry,
        reader: ChunkReader,
        observer: Observer,
        *,
        keeps: bool,
    ) -> None:
        buffer, (number, offset, size) = arrived
        started = time.perf_counter_ns()
        digest = self._payload.digest(buffer, size)
        if not keeps:
            return  # the check cost what it costs, and says nothing
        if digest != entry.digests[number]:
            place = reader.locate(offset)
            raise self._payload.describe(buffer, size, entry.identity, offset, place)
        observer.verified(started, time.perf_counter_ns())

    def _is_check_due(self) -> bool:
        self._owed_checks += self._verify_rate
        is_due = self._owed_checks >= 1
        self._owed_checks -= is_due
        return is_due

    def _chunks(self, size: int) -> Iterator[Chunk]:
        for chunk in self._chunking.chunks(size):
            if self.stopping.is_set():
                raise CutOffError
            yield chunk


def queues_for(lanes: int, chunks_in_flight: int, chunk_bytes: int) -> OpenQueue | None:
    """Return what opens the queues of so many lanes; None where plain calls are the better way.

    With a queue, a lane's next chunk is made, or its last one checked, while another is with the
    storage. That is worth its second call, but for several lanes with one small chunk each: they
    have each other's chunks with the storage meanwhile, and wait for Python's lock at every call.
    """
    is_alone = lanes == 1 or chunks_in_flight > 1
    return KernelQueue if is_alone or chunk_bytes >= LARGE_CHUNK_BYTES else None


def buffers_for(lanes: int, chunks_in_flight: int, chunk_bytes: int) -> int:
    """Return how many buffers so many lanes use at once.

    A lane with a queue makes or checks one beside those in flight.
    """
    has_queue = queues_for(lanes, chunks_in_flight, chunk_bytes) is not None
    return lanes * (chunks_in_flight + has_queue)


def _clear_away(store: Store, name: str, cause: BaseException) -> None:
    """Remove what there is of an entry after a failure, which stays the error to tell."""
    try:
        store.delete(name)
    except StorageError as error:
        cause.add_note(str(error))
