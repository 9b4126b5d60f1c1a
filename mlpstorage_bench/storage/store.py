"""Entries streamed to and from a place that keeps them, chunk by chunk.

Memory does not grow with entries: a lane owns one chunk's buffer, and every operation goes through
it. Spans are taken around the system call alone; making and checking content lies outside them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from mlpstorage_bench.storage.buffers import AlignedBuffer, round_up_to_sector
from mlpstorage_bench.storage.payload import ChunkPlace, Payload


class CutOffError(Exception):
    """The run is stopping: an operation ended between two chunks. No fault of the storage."""


class Observer(Protocol):
    """Who wants to know of each chunk, as it is done."""

    def chunk(self, size: int, started_ns: int, ended_ns: int) -> None:
        """Note that a chunk's system call moved `size` bytes between two times (perf_counter)."""
        ...

    def durable(self, started_ns: int, ended_ns: int) -> None:
        """Note that data was made durable between two times."""
        ...

    def verified(self, started_ns: int, ended_ns: int) -> None:
        """Note that a chunk was checked and found right."""
        ...


@dataclass
class Lane:
    """What one operation in flight needs: a buffer of its own, and the signal to stop."""

    buffer: AlignedBuffer
    stopping: threading.Event


@dataclass(frozen=True)
class StoredEntry:
    """An entry that a store holds."""

    name: str
    size: int
    """In bytes as stored: whole sectors."""
    identity: int
    digests: tuple[int, ...] = field(repr=False)
    """Of each chunk, in order."""


class ChunkWriter(Protocol):
    """Takes one new entry's chunks."""

    path: str

    def put(self, data: memoryview, offset: int) -> None:
        """Write all of `data` at `offset`."""
        ...

    def make_durable(self) -> bool:
        """Make what was put durable, as far as the store was asked to; say whether it did."""
        ...


class ChunkReader(Protocol):
    """Gives back one entry's chunks."""

    path: str

    def get(self, data: memoryview, offset: int) -> None:
        """Fill `data` from `offset`."""
        ...


class Store(Protocol):
    """A place that keeps entries by name."""

    def writer(self, name: str, size: int) -> AbstractContextManager[ChunkWriter]:
        """Open a new entry for writing."""
        ...

    def reader(self, name: str) -> AbstractContextManager[ChunkReader]:
        """Open an entry for reading."""
        ...

    def delete(self, name: str) -> None:
        """Remove an entry, or what there is of it."""
        ...


def write_entry(
    store: Store, name: str, size: int, payload: Payload, lane: Lane, observer: Observer
) -> StoredEntry:
    """Stream a new entry into the store; on failure or cut-off nothing of it stays there."""
    stored_size = round_up_to_sector(size)
    identity = payload.identity(name, generation=0)
    digests = []
    try:
        with store.writer(name, stored_size) as writer:
            for offset, length in _chunks(stored_size, lane):
                digests.append(
                    payload.fill(lane.buffer, length, ChunkPlace(writer.path, identity, offset))
                )
                started = time.perf_counter_ns()
                writer.put(lane.buffer.bytes[:length], offset)
                observer.chunk(length, started, time.perf_counter_ns())
            started = time.perf_counter_ns()
            if writer.make_durable():
                observer.durable(started, time.perf_counter_ns())
    except BaseException:
        store.delete(name)
        raise
    return StoredEntry(name, stored_size, identity, tuple(digests))


def read_entry(
    store: Store, entry: StoredEntry, payload: Payload, lane: Lane, observer: Observer
) -> None:
    """Stream an entry from the store and check every chunk of it."""
    with store.reader(entry.name) as reader:
        for digest, (offset, length) in zip(entry.digests, _chunks(entry.size, lane), strict=True):
            started = time.perf_counter_ns()
            reader.get(lane.buffer.bytes[:length], offset)
            ended = time.perf_counter_ns()
            observer.chunk(length, started, ended)
            place = ChunkPlace(reader.path, entry.identity, offset)
            payload.verify(lane.buffer, length, place, digest)
            observer.verified(ended, time.perf_counter_ns())


def copy_entry(
    source: Store, target: Store, entry: StoredEntry, lane: Lane, read: Observer, write: Observer
) -> None:
    """Stream an entry from one store into another; the source keeps its copy.

    Content is carried over unchecked: its digests go with it, and the next read checks it.
    """
    try:
        with source.reader(entry.name) as reader, target.writer(entry.name, entry.size) as writer:
            for offset, length in _chunks(entry.size, lane):
                data = lane.buffer.bytes[:length]
                started = time.perf_counter_ns()
                reader.get(data, offset)
                between = time.perf_counter_ns()
                writer.put(data, offset)
                ended = time.perf_counter_ns()
                read.chunk(length, started, between)
                write.chunk(length, between, ended)
            started = time.perf_counter_ns()
            if writer.make_durable():
                write.durable(started, time.perf_counter_ns())
    except BaseException:
        target.delete(entry.name)
        raise


def _chunks(size: int, lane: Lane) -> Iterator[tuple[int, int]]:
    for offset in range(0, size, lane.buffer.size):
        if lane.stopping.is_set():
            raise CutOffError
        yield offset, min(lane.buffer.size, size - offset)
