"""An entry's chunks in files, in whatever layout: moved by calls here, or elsewhere by a queue."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import NamedTuple

from mlpstorage_bench.storage.files import DataFile
from mlpstorage_bench.storage.store import Location, Observer


class FilePlace(NamedTuple):
    """Where a chunk lies."""

    file: DataFile
    offset: int
    """In the file."""


class FileMover(ABC):
    """Writes or reads one entry's chunks, in any order. What a layout has to tell is `place`.

    Who moves a chunk by a queue asks for its place, and tells when it has been `moved`.
    """

    def __init__(self, observer: Observer, *, is_direct: bool) -> None:
        self.is_direct = is_direct
        """Whether the files go past the page cache, so that a queue can have many of them."""
        self._observer = observer

    @abstractmethod
    def place(self, offset: int) -> FilePlace:
        """Return where the chunk at `offset` of the entry lies, its file open."""

    def moved(
        self, size: int, offset: int, started_ns: int, ended_ns: int, late_ns: int = 0
    ) -> None:
        """Take note of a chunk that was moved whole; tells the observer."""
        del offset
        self._observer.chunk(size, started_ns, ended_ns, late_ns)

    def put(self, data: memoryview, offset: int) -> None:
        """Write a chunk."""
        file, at = self.place(offset)
        started = time.perf_counter_ns()
        file.write(data, at)
        self.moved(len(data), offset, started, time.perf_counter_ns())

    def get(self, data: memoryview, offset: int) -> None:
        """Read a chunk."""
        file, at = self.place(offset)
        started = time.perf_counter_ns()
        file.read(data, at)
        self.moved(len(data), offset, started, time.perf_counter_ns())

    def locate(self, offset: int) -> Location:
        """Return the file of the byte at `offset`, and the offset in it."""
        file, at = self.place(offset)
        return Location(str(file.path), at)
