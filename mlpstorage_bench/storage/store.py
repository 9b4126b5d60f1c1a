"""Interface of stores, which hold entries: files in every layout, memory, and null."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class Observer(Protocol):
    """Receives each transfer of an entry as it completes."""

    def chunk(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
        """Record the transfer of a chunk of `size` bytes between two times (perf_counter).

        It may have ended up to `late_ns` before `ended_ns`.
        """
        ...

    def cached(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
        """Record the write of a chunk into the page cache, which a later sync brings to storage.

        Like a sync, it may have ended up to `late_ns` before `ended_ns`.
        """
        ...

    def durable(
        self, started_ns: int, ended_ns: int, cached_bytes: int = 0, late_ns: int = 0
    ) -> None:
        """Record a sync of written data between two times, and the cached bytes that it brought."""
        ...

    def verified(self, started_ns: int, ended_ns: int) -> None:
        """Record a successful check of a chunk between two times."""
        ...


class Location(NamedTuple):
    """Place of a byte of an entry, for messages."""

    path: str
    offset: int


class ChunkWriter(Protocol):
    """Writes one new entry's chunks, in any order."""

    def put(self, data: memoryview, offset: int) -> None:
        """Write all of `data` at `offset` of the entry, and notify the observer."""
        ...


class ChunkReader(Protocol):
    """Reads one entry's chunks, in any order."""

    def get(self, data: memoryview, offset: int) -> None:
        """Fill `data` from `offset` of the entry, and notify the observer."""
        ...

    def locate(self, offset: int) -> Location:
        """Return the place of the byte at `offset`."""
        ...


class Store(Protocol):
    """Holds entries by name.

    Observers receive only system calls: the store, or the lane's queue, takes the times directly
    before and after them.
    """

    stores_data: bool
    """Whether reads return the written data; those of a null store do not, and are not checked."""

    def footprint(self, size: int) -> int:
        """Return the number of bytes that an entry of `size` bytes occupies in the store."""
        ...

    def writer(
        self, name: str, size: int, observer: Observer
    ) -> AbstractContextManager[ChunkWriter]:
        """Open a new entry for writing; on exit it is complete, and durable as configured."""
        ...

    def reader(self, name: str, observer: Observer) -> AbstractContextManager[ChunkReader]:
        """Open an entry for reading."""
        ...

    def delete(self, name: str) -> None:
        """Remove an entry, complete or not; does nothing if there is none."""
        ...

    def close(self) -> None:
        """Release the store's resources other than entries."""
        ...


@dataclass(frozen=True)
class StoredEntry:
    """An entry in a store."""

    name: str
    size: int
    """Stored bytes: whole sectors."""
    identity: int
    """Identity in the stamps of its sectors."""
    digests: array[int] = field(repr=False)
    """Digest of each chunk in order, 8 bytes each; empty if the lane that wrote it checks none."""
    reads: Iterator[int] = field(default_factory=itertools.count, repr=False, compare=False)
    """Yields the number of each read, from 0, on any lane and in any tier."""


class Chunk(NamedTuple):
    """Part of an entry that is moved by one system call."""

    number: int
    offset: int
    size: int


@dataclass(frozen=True)
class Chunking:
    """Division of entries into chunks: the same in every store, so that digests stay valid."""

    chunk_bytes: int
    extent_bytes: int | None = None
    """Size of a block or slot: no chunk crosses a multiple of it."""

    def chunks(self, size: int) -> Iterable[Chunk]:
        """Return the chunks of an entry of `size` bytes, in order."""
        if size <= self.chunk_bytes and (self.extent_bytes is None or size <= self.extent_bytes):
            return (Chunk(0, 0, size),)
        return self._several_chunks(size)

    def _several_chunks(self, size: int) -> Iterator[Chunk]:
        extent_bytes = self.extent_bytes or size
        number = 0
        for extent in range(0, size, extent_bytes):
            end = min(extent + extent_bytes, size)
            for offset in range(extent, end, self.chunk_bytes):
                yield Chunk(number, offset, min(self.chunk_bytes, end - offset))
                number += 1

    def chunk(self, size: int, number: int) -> Chunk:
        """Return one of the chunks of an entry of `size` bytes by its number."""
        extent_bytes = self.extent_bytes or size
        extent, within = divmod(number, -(-extent_bytes // self.chunk_bytes))
        offset = extent * extent_bytes + within * self.chunk_bytes
        end = min((extent + 1) * extent_bytes, size)
        return Chunk(number, offset, min(self.chunk_bytes, end - offset))

    def count(self, size: int) -> int:
        """Return the number of chunks of an entry of `size` bytes."""
        extent_bytes = self.extent_bytes or size
        whole, rest = divmod(size, extent_bytes)
        return whole * -(-extent_bytes // self.chunk_bytes) + -(-rest // self.chunk_bytes)
