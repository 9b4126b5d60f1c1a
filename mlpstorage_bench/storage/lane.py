"""A lane: the buffers and chunks in flight of one operation at a time.

Memory does not grow with the size of entries: every operation uses a pool of buffers, which lanes
may share. It makes the next chunk or checks the last one while other chunks are in flight; the
spans of transfers include neither. Many lanes run on one IO thread, one at a time.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Iterable

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.storage.buffers import AlignedBuffer, BufferPool, round_up_to_sector
from mlpstorage_bench.storage.in_flight import InFlight, Read
from mlpstorage_bench.storage.io_thread import IoThread
from mlpstorage_bench.storage.lane_waits import CutOffError
from mlpstorage_bench.storage.payload import Content, Payload
from mlpstorage_bench.storage.store import (
    Chunk,
    Chunking,
    ChunkReader,
    Observer,
    Store,
    StoredEntry,
)
from mlpstorage_bench.storage.verification import is_checked


class Lane:
    """Writes, reads and copies entries, one at a time, with several chunks in flight."""

    def __init__(
        self,
        payload: Payload,
        chunking: Chunking,
        stopping: threading.Event,
        thread: IoThread,
        *,
        chunks_in_flight: int = 1,
        verify_rate: float = 1.0,
        buffers: BufferPool | None = None,
    ) -> None:
        self.stopping = stopping
        """Once set, operations finish their chunks in flight and raise CutOffError."""
        self._payload = payload
        self._chunking = chunking
        self._buffers = buffers or BufferPool(chunking.chunk_bytes, chunks_in_flight + 1)
        self._thread = thread
        self._in_flight = InFlight(thread, chunks_in_flight, self._buffers)
        self._verify_rate = verify_rate

    @property
    def max_in_flight(self) -> int:
        """Largest number of chunks in flight: 1 without a queue."""
        return self._in_flight.limit

    @property
    def in_flight(self) -> int:
        """Number of chunks that are in flight or in work now; another thread may ask."""
        return self._in_flight.taken

    @property
    def huge_page_share(self) -> float | None:
        """Share of the buffers' memory in huge pages; None if the kernel does not report it."""
        return self._buffers.huge_page_share

    @property
    def queue_unavailable_reason(self) -> str:
        """Reason why the lane has no queue; '' if it has one or needs none."""
        return self._in_flight.queue_unavailable_reason

    def write(
        self, store: Store, name: str, size: int, observer: Observer, *, generation: int = 0
    ) -> StoredEntry:
        """Stream a new entry into the store; after a failure or cut-off it is removed again."""
        self._thread.begin_operation()
        stored_size = round_up_to_sector(size)
        identity = self._payload.identity(name, generation)
        content = self._payload.content(identity)
        is_digested = self._verify_rate > 0
        digests = array("Q", bytes(8 * self._chunking.count(stored_size) * is_digested))
        try:
            with store.writer(name, stored_size, observer) as writer, self._in_flight as in_flight:
                for chunk in self._chunking.chunks(stored_size):
                    self._raise_if_stopping()
                    buffer = in_flight.take_buffer()
                    digest = self._thread.aside(self._make, content, buffer, chunk)
                    if is_digested:
                        digests[chunk.number] = digest
                    in_flight.write(writer, buffer, chunk)
                in_flight.finish()
        except BaseException as error:
            _remove_after_failure(store, name, error)
            raise
        return StoredEntry(name, stored_size, identity, digests)

    def read(self, store: Store, entry: StoredEntry, observer: Observer) -> None:
        """Stream an entry from the store, and check its chunks at the verify rate."""
        self._thread.begin_operation()
        number_of_read = next(entry.reads)
        rate = self._verify_rate if entry.digests else 0.0
        with store.reader(entry.name, observer) as reader, self._in_flight as in_flight:

            def check(reads: Iterable[Read]) -> None:
                for read in reads:
                    if rate and is_checked(rate, entry.identity, read[1].number, number_of_read):
                        self._check(read, entry, reader, observer, stores_data=store.stores_data)
                    in_flight.release(read[0])

            for chunk in self._chunking.chunks(entry.size):
                self._raise_if_stopping()
                in_flight.read(reader, in_flight.take_buffer(), chunk)
                reads = in_flight.completed_reads()
                if reads:
                    check(reads)
            while not in_flight.is_idle:
                check(in_flight.next_reads())

    def check_chunk(
        self, store: Store, entry: StoredEntry, number: int, observer: Observer
    ) -> None:
        """Read one chunk of an entry that has digests, and check it."""
        with store.reader(entry.name, observer) as reader, self._in_flight as in_flight:
            chunk = self._chunking.chunk(entry.size, number)
            in_flight.read(reader, in_flight.take_buffer(), chunk)
            for read in in_flight.next_reads():
                self._check(read, entry, reader, observer, stores_data=store.stores_data)
                in_flight.release(read.buffer)

    def copy(
        self, source: Store, target: Store, entry: StoredEntry, read: Observer, write: Observer
    ) -> None:
        """Stream an entry from one store into another; the source keeps its copy.

        Content is copied unchecked: its digests are copied with it, and the next read checks it.
        """
        self._thread.begin_operation()
        try:
            with (
                source.reader(entry.name, read) as reader,
                target.writer(entry.name, entry.size, write) as writer,
                self._in_flight as in_flight,
            ):
                for chunk in self._chunking.chunks(entry.size):
                    self._raise_if_stopping()
                    in_flight.read(reader, in_flight.take_buffer(), chunk)
                    for completed in in_flight.completed_reads():
                        in_flight.write(writer, *completed)
                while not in_flight.is_idle:
                    for completed in in_flight.next_reads():
                        in_flight.write(writer, *completed)
        except BaseException as error:
            _remove_after_failure(target, entry.name, error)
            raise

    def _raise_if_stopping(self) -> None:
        if self.stopping.is_set():
            raise CutOffError

    def _make(self, content: Content, buffer: AlignedBuffer, chunk: Chunk) -> int:
        """Make a chunk and return its digest; 0 if none is checked."""
        content.fill(buffer, chunk.size, chunk.offset)
        return self._payload.digest(buffer, chunk.size) if self._verify_rate > 0 else 0

    def _check(
        self,
        read: Read,
        entry: StoredEntry,
        reader: ChunkReader,
        observer: Observer,
        *,
        stores_data: bool,
    ) -> None:
        buffer, (number, offset, size) = read
        started = time.perf_counter_ns()
        digest = self._thread.aside(self._payload.digest, buffer, size)
        if not stores_data:
            return  # only the cost of the check is wanted
        if digest != entry.digests[number]:
            place = reader.locate(offset)
            raise self._payload.describe(buffer, size, entry.identity, offset, place)
        observer.verified(started, time.perf_counter_ns())


def buffers_for(lanes: int, chunks_in_flight: int) -> int:
    """Return the number of buffers that the lanes use at once.

    A lane makes or checks one chunk beside those in flight.
    """
    return lanes * (chunks_in_flight + 1)


def _remove_after_failure(store: Store, name: str, cause: BaseException) -> None:
    """Remove an entry after a failure; an error of the removal becomes a note of `cause`."""
    try:
        store.delete(name)
    except StorageError as error:
        cause.add_note(str(error))
