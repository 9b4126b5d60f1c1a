"""What a place that keeps entries is: one interface for files in every layout, memory and null."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class Observer(Protocol):
    """Who wants to know of each transfer of an entry, as it is done."""

    def chunk(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
        """Note that a chunk of `size` bytes was with the storage between two times (perf_counter).

        It may have ended up to `late_ns` before it was seen to.
        """
        ...

    def durable(self, started_ns: int, ended_ns: int) -> None:
        """Note that data was made durable between two times."""
        ...

    def verified(self, started_ns: int, ended_ns: int) -> None:
        """Note that a chunk was checked and found right."""
        ...


class Location(NamedTuple):
    """Where a byte of an entry is kept, for messages."""

    path: str
    offset: int


class ChunkWriter(Protocol):
    """Takes one new entry's chunks, in any order."""

    def put(self, data: memoryview, offset: int) -> None:
        """Write all of `data` at `offset` of the entry, and tell the observer."""
        ...


class ChunkReader(Protocol):
    """Gives back one entry's chunks, in any order."""

    def get(self, data: memoryview, offset: int) -> None:
        """Fill `data` from `offset` of the entry, and tell the observer."""
        ...

    def locate(self, offset: int) -> Location:
        """Return where the byte at `offset` is kept."""
        ...


class Store(Protocol):
    """A place that keeps entries by name.

    The observer hears of system calls alone: the times are taken right around them, by the store,
    or by the lane's queue.
    """

    stores_data: bool
    """Whether what is read is what was written; a null store keeps nothing, so nothing is
    checked."""

    def footprint(self, size: int) -> int:
        """Return the bytes of the store that an entry of `size` bytes occupies."""
        ...

    def writer(
        self, name: str, size: int, observer: Observer
    ) -> AbstractContextManager[ChunkWriter]:
        """Open a new entry for writing; leaving it makes it complete, and durable as asked for."""
        ...

    def reader(self, name: str, observer: Observer) -> AbstractContextManager[ChunkReader]:
        """Open an entry for reading."""
        ...

    def delete(self, name: str) -> None:
        """Remove an entry, or what there is of it."""
        ...

    def close(self) -> None:
        """Give back what the store holds beside its entries."""
        ...


@dataclass(frozen=True)
class StoredEntry:
    """An entry that a store holds."""

    name: str
    size: int
    """In bytes as stored: whole sectors."""
    identity: int
    """The stamp in its sectors."""
    digests: array[int] = field(repr=False)
    """Of each chunk, in order, 8 bytes each; empty where the lane that wrote it checks nothing."""


class Chunk(NamedTuple):
    """A part of an entry that is moved at once."""

    number: int
    offset: int
    size: int


@dataclass(frozen=True)
class Chunking:
    """How entries are cut into chunks: the same in every store, so that digests carry over."""

    chunk_bytes: int
    extent_bytes: int | None = None
    """No chunk crosses a multiple of this: a block's or a slot's size."""

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Return the chunks of an entry of `size` bytes, in order."""
        extent_bytes = self.extent_bytes or size
        number = 0
        for extent in range(0, size, extent_bytes):
            end = min(extent + extent_bytes, size)
            for offset in range(extent, end, self.chunk_bytes):
                yield Chunk(number, offset, min(self.chunk_bytes, end - offset))
                number += 1

    def count(self, size: int) -> int:
        """Return the number of chunks of an entry of `size` bytes."""
        extent_bytes = self.extent_bytes or size
        whole, rest = divmod(size, extent_bytes)
        return whole * -(-extent_bytes // self.chunk_bytes) + -(-rest // self.chunk_bytes)
