"""A lane: what one operation in flight needs, and its transfers chunk by chunk.

Memory does not grow with entries: every operation goes through a pool of buffers, which lanes may
share. Making and checking content lies outside of the spans of system calls.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import NamedTuple, Self

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.storage.buffers import AlignedBuffer, BufferPool, round_up_to_sector
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Chunk, Chunking, Observer, Store, StoredEntry


class CutOffError(Exception):
    """The run is stopping: an operation ended between two chunks. No fault of the storage."""


class _Move(NamedTuple):
    chunk: Chunk
    is_checked: bool


class Lane:
    """Writes, reads and copies entries, one at a time, with some chunks of it in flight.

    A context manager: its helper threads end with it.
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
    ) -> None:
        self.stopping = stopping
        """Once set, operations end with CutOffError after the chunks that they have in flight."""
        self._payload = payload
        self._chunking = chunking
        self._buffers = buffers or BufferPool(chunking.chunk_bytes, chunks_in_flight)
        self._chunks_in_flight = chunks_in_flight
        self._helpers = (
            ThreadPoolExecutor(chunks_in_flight - 1, thread_name_prefix="chunk")
            if chunks_in_flight > 1
            else None
        )
        self._verify_rate = verify_rate
        self._owed_checks = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._helpers is not None:
            self._helpers.shutdown()

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
            with store.writer(name, stored_size, observer) as writer:

                def put(buffer: AlignedBuffer, move: _Move) -> None:
                    number, offset, length = move.chunk
                    content.fill(buffer, length, offset)
                    if is_digested:
                        digests[number] = self._payload.digest(buffer, length)
                    writer.put(buffer.bytes[:length], offset)

                self._transfer(stored_size, put)
        except BaseException as error:
            _clear_away(store, name, error)
            raise
        return StoredEntry(name, stored_size, identity, digests)

    def read(self, store: Store, entry: StoredEntry, observer: Observer) -> None:
        """Stream an entry from the store and check its chunks, all or at the rate asked for."""
        with store.reader(entry.name, observer) as reader:

            def get(buffer: AlignedBuffer, move: _Move) -> None:
                number, offset, length = move.chunk
                reader.get(buffer.bytes[:length], offset)
                if not (move.is_checked and entry.digests):
                    return
                started = time.perf_counter_ns()
                digest = self._payload.digest(buffer, length)
                if not store.keeps_content:
                    return  # the check cost what it costs, and says nothing
                if digest != entry.digests[number]:
                    place = reader.locate(offset)
                    raise self._payload.describe(buffer, length, entry.identity, offset, place)
                observer.verified(started, time.perf_counter_ns())

            self._transfer(entry.size, get)

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
            ):

                def carry(buffer: AlignedBuffer, move: _Move) -> None:
                    data = buffer.bytes[: move.chunk.size]
                    reader.get(data, move.chunk.offset)
                    writer.put(data, move.chunk.offset)

                self._transfer(entry.size, carry)
        except BaseException as error:
            _clear_away(target, entry.name, error)
            raise

    def _transfer(self, size: int, move_one: Callable[[AlignedBuffer, _Move], None]) -> None:
        """Move all chunks of an entry, as many at once as may be in flight."""
        helpers = min(self._chunks_in_flight, self._chunking.count(size)) - 1
        if self._helpers is None or helpers < 1:
            for move in self._moves(size):
                self._through_buffer(move, move_one)
            return
        moves = _Shared(self._moves(size))

        def work() -> None:
            for move in moves:
                try:
                    self._through_buffer(move, move_one)
                except BaseException as error:  # noqa: BLE001 - the entry's first is raised below
                    moves.fail(move.chunk.number, error)

        helping = [self._helpers.submit(work) for _ in range(helpers)]
        try:
            work()
        finally:
            moves.abandon()
            wait(helping)
        for helper in helping:
            helper.result()
        moves.raise_first_failure()

    def _through_buffer(
        self, move: _Move, move_one: Callable[[AlignedBuffer, _Move], None]
    ) -> None:
        buffer = self._buffers.take()
        try:
            move_one(buffer, move)
        finally:
            self._buffers.put(buffer)

    def _moves(self, size: int) -> Iterator[_Move]:
        for chunk in self._chunking.chunks(size):
            if self.stopping.is_set():
                raise CutOffError
            self._owed_checks += self._verify_rate
            is_checked = self._owed_checks >= 1
            self._owed_checks -= is_checked
            yield _Move(chunk, is_checked)


def _clear_away(store: Store, name: str, cause: BaseException) -> None:
    """Remove what there is of an entry after a failure, which stays the error to tell."""
    try:
        store.delete(name)
    except StorageError as error:
        cause.add_note(str(error))


class _Shared:
    """An iterator that several threads draw from until it ends or one of them has failed."""

    def __init__(self, moves: Iterator[_Move]) -> None:
        self._moves = moves
        self._lock = threading.Lock()
        self._is_abandoned = False
        self._failures: dict[int, BaseException] = {}
        """By number of the chunk."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _Move:
        with self._lock:
            if self._is_abandoned:
                raise StopIteration
            return next(self._moves)

    def fail(self, number: int, error: BaseException) -> None:
        """Take note of a chunk that failed, and give out nothing more."""
        with self._lock:
            self._failures[number] = error
            self._is_abandoned = True

    def abandon(self) -> None:
        """Give out nothing more."""
        self._is_abandoned = True

    def raise_first_failure(self) -> None:
        """Raise what went wrong with the first of the chunks that failed, in the entry's order."""
        if self._failures:
            raise self._failures[min(self._failures)]
