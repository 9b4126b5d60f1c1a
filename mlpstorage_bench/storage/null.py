"""Stores that keep nothing: what remains when they are measured is the harness itself.

To a lane they are files, moved by calls or by a queue, so that all of its code runs: only what the
system would do is left out.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from mlpstorage_bench.storage.aio import Event, KernelQueue, Queue, QueueRefusedError
from mlpstorage_bench.storage.buffers import AlignedBuffer
from mlpstorage_bench.storage.entry_files import EntryFile
from mlpstorage_bench.storage.files import DataFile, FileIo
from mlpstorage_bench.storage.store import Observer

RING_BYTES = 64 << 20
"""More than processors cache, so that a ring moves data through memory."""


class _Copy(Protocol):
    def __call__(self, address: int, size: int, *, is_write: bool) -> None: ...


class DiscardingStore:
    """Takes any entry, and gives back something else of the same size."""

    stores_data = False

    def __init__(self, copy: _Copy | None, *, is_direct: bool) -> None:
        self._copy = copy
        self._file = NoFile(copy)
        self._is_direct = is_direct
        self._refusal = _why_no_queue() if is_direct else ""

    def footprint(self, size: int) -> int:
        """Return the entry's own size."""
        return size

    @contextmanager
    def writer(self, name: str, size: int, observer: Observer) -> Iterator[EntryFile]:
        """Take an entry's chunks."""
        del name, size
        yield EntryFile(self._file, observer, is_direct=self._is_direct)

    @contextmanager
    def reader(self, name: str, observer: Observer) -> Iterator[EntryFile]:
        """Give back chunks."""
        del name
        yield EntryFile(self._file, observer, is_direct=self._is_direct)

    def open_queue(self, depth: int) -> Queue:
        """Return the queue that has to move chunks instead of one of the kernel's.

        Raises QueueRefusedError where the host gives none of these.
        """
        del depth
        if self._refusal:
            raise QueueRefusedError(self._refusal)
        return ImmediateQueue(self._copy)

    def delete(self, name: str) -> None:
        """There is nothing to remove."""

    def close(self) -> None:
        """There is nothing to give back."""


class NullStore(DiscardingStore):
    """Moves nothing: operations cost what the harness takes for them.

    With `is_direct`, lanes have to have its `open_queue`.
    """

    def __init__(self, *, is_direct: bool = False) -> None:
        super().__init__(None, is_direct=is_direct)


class RingStore(DiscardingStore):
    """Copies chunks to and from memory that all entries share: bytes cost what memory takes."""

    def __init__(self, *, is_direct: bool = False) -> None:
        super().__init__(_Ring().copy, is_direct=is_direct)


class NoFile(DataFile):
    """A file that the system does not know."""

    def __init__(self, copy: _Copy | None) -> None:
        super().__init__(-1, Path("nowhere"), FileIo("direct"))
        self._copy = copy

    def write(self, data: memoryview, offset: int) -> None:
        """Copy the data away where bytes are to cost something."""
        del offset
        if self._copy is not None:
            self._copy(_address(data), len(data), is_write=True)

    def read(self, data: memoryview, offset: int) -> None:
        """Copy data in where bytes are to cost something."""
        del offset
        if self._copy is not None:
            self._copy(_address(data), len(data), is_write=False)


class ImmediateQueue:
    """A queue whose transfers have ended when they have been submitted."""

    def __init__(self, copy: _Copy | None) -> None:
        self._copy = copy
        self._ended: list[Event] = []

    def submit(
        self, slot: int, *, is_write: bool, descriptor: int, address: int, size: int, offset: int
    ) -> None:
        """Complete a transfer at once."""
        del descriptor, offset
        if self._copy is not None:
            self._copy(address, size, is_write=is_write)
        self._ended.append((slot, size))

    def reap(self, *, waits: bool) -> list[Event]:
        """Return the transfers that completed since the last call."""
        del waits
        ended, self._ended = self._ended, []
        return ended

    def forget(self) -> None:
        """Drop completed transfers."""
        self._ended = []

    def close(self) -> None:
        """Drop completed transfers."""
        self._ended = []


class _Ring:
    """Memory that transfers go through, each where the last one ended, whoever moves it."""

    def __init__(self) -> None:
        self._memory = AlignedBuffer(RING_BYTES)
        self._memory.sectors[:] = 0  # have it now, not while measuring
        self._next = 0
        self._lock = threading.Lock()

    def copy(self, address: int, size: int, *, is_write: bool) -> None:
        """Copy to or from other memory, as a system call would: others have Python's lock."""
        with self._lock:
            at = self._next
            self._next = (at + size) % RING_BYTES
        while size:
            part = min(size, RING_BYTES - at)
            here = self._memory.address + at
            source, target = (address, here) if is_write else (here, address)
            ctypes.memmove(target, source, part)
            address, size, at = address + part, size - part, 0


def _why_no_queue() -> str:
    """Return why this host gives no queue; '' where it does."""
    try:
        KernelQueue(1).close()
    except QueueRefusedError as error:
        return str(error)
    return ""


def _address(data: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(data))
