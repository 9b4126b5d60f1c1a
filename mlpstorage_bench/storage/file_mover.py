"""Transfers of an entry's chunks to and from files, for every layout: by plain calls or a queue."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from mlpstorage_bench.storage.files import SYNC_BYTES, DataFile, FileIo
from mlpstorage_bench.storage.kernel_queue import Prepare
from mlpstorage_bench.storage.lane_waits import off_thread
from mlpstorage_bench.storage.queue_calls import off_lane
from mlpstorage_bench.storage.store import Location, Observer

FilePlace = tuple[DataFile, int]
"""File of a chunk, and offset in it."""


class FileMover(ABC):
    """Writes or reads one entry's chunks, in any order. A layout implements `place`.

    A caller that moves a chunk by a queue gets its `place`, and calls `moved`, or `cached`, when it
    is done.
    """

    def __init__(self, observer: Observer, io: FileIo) -> None:
        self.is_direct = io.is_direct
        """Whether the files bypass the page cache, so that any queue moves chunks concurrently."""
        self.is_uncached = io.transfer_flags != 0
        """Whether its transfers leave nothing in the page cache."""
        self.writes_back = io.writes_back
        """Whether a written chunk is done when its pages were written back."""
        self.counts_at_sync = io.counts_at_sync
        """Whether a written chunk is only `cached`."""
        self.is_queued: bool | None = None
        """Whether a queue moves its chunks, and not `put` and `get`; None: not decided yet."""
        self.prepare: Prepare
        """Function of that queue; unset if there is none."""
        self._observer = observer
        self._syncs_on_the_way = io.syncs_on_the_way
        self._drops_written = io.drops_pages
        self._cached: dict[DataFile, int] = {}
        """Bytes that were written to files in the page cache and not synced yet."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the operation: most layouts have nothing to do."""
        del kind, error, traceback

    @abstractmethod
    def place(self, offset: int) -> FilePlace:
        """Return the open file, and the offset in it, of the chunk at `offset` of the entry."""

    def moved(
        self, size: int, offset: int, started_ns: int, ended_ns: int, late_ns: int = 0
    ) -> None:
        """Report a completely moved chunk to the observer."""
        del offset
        self._observer.chunk(size, started_ns, ended_ns, late_ns)

    def cached(
        self, size: int, offset: int, started_ns: int, ended_ns: int, late_ns: int = 0
    ) -> None:
        """Report a chunk that was written to the page cache; sync the file if it has many."""
        file, _ = self.place(offset)
        self._observer.cached(size, started_ns, ended_ns, late_ns)
        self._cached[file] = self._cached.get(file, 0) + size
        if self._syncs_on_the_way and self._cached[file] >= SYNC_BYTES:
            off_lane(self.make_durable, file)

    def make_durable(self, file: DataFile) -> None:
        """Sync a file as configured; what was cached counts now, and may leave the cache."""
        file.make_durable(self._observer, self._cached.pop(file, 0))
        if self._drops_written:
            off_thread(self._drop_written, file)

    def _drop_written(self, file: DataFile) -> None:
        """Drop the entry's written pages of a file from the page cache."""
        file.drop_cached_pages()

    def put(self, data: memoryview, offset: int) -> None:
        """Write a chunk."""
        file, at = self.place(offset)
        started = time.perf_counter_ns()
        file.write(data, at)
        report = self.cached if self.counts_at_sync else self.moved
        report(len(data), offset, started, time.perf_counter_ns())

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
