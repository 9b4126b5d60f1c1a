"""Stores that discard all data, to measure the harness itself.

Lanes treat them like files, moved by calls or by a queue, so that all code of a lane runs and only
the work of the operating system is missing.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from mlpstorage_bench.storage.buffers import AlignedBuffer
from mlpstorage_bench.storage.entry_files import EntryFile
from mlpstorage_bench.storage.files import DataFile, FileIo
from mlpstorage_bench.storage.kernel_queue import Event, Queue, QueueRefusedError
from mlpstorage_bench.storage.queues import open_queue
from mlpstorage_bench.storage.store import Observer
from mlpstorage_bench.units import NS_PER_S

RING_BYTES = 64 << 20
"""Larger than processor caches, so that a ring moves data through memory."""


class _Copy(Protocol):
    def __call__(self, address: int, size: int, *, is_write: bool) -> None: ...


class DiscardingStore:
    """Accepts any entry, and returns other data of the same size."""

    stores_data = False

    def __init__(self, copy: _Copy | None, *, is_queued: bool) -> None:
        self._copy = copy
        self._file = NoFile(copy)
        self._io = FileIo("direct")
        self._is_queued = is_queued
        self._refusal = _queue_unavailable_reason() if is_queued else ""

    def footprint(self, size: int) -> int:
        """Return the entry's size."""
        return size

    def writer(self, name: str, size: int, observer: Observer) -> AbstractContextManager[EntryFile]:
        """Accept an entry's chunks."""
        del name, size
        return self._mover(observer)

    def reader(self, name: str, observer: Observer) -> AbstractContextManager[EntryFile]:
        """Return chunks of arbitrary content."""
        del name
        return self._mover(observer)

    def _mover(self, observer: Observer) -> EntryFile:
        mover = EntryFile(self._file, observer, self._io)
        if not self._is_queued:
            mover.is_queued = False
        return mover

    def open_queue(self, depth: int) -> Queue:
        """Return the queue that moves chunks in place of a kernel queue.

        Raises QueueRefusedError if the host provides no kernel queue.
        """
        del depth
        if self._refusal:
            raise QueueRefusedError(self._refusal)
        return ImmediateQueue(self._copy)

    def delete(self, name: str) -> None:
        """Do nothing: no entry is stored."""

    def close(self) -> None:
        """Do nothing: the store has no resources."""


class NullStore(DiscardingStore):
    """Moves no data: an operation costs only the harness's own time.

    With `is_queued`, lanes must use its `open_queue`.
    """

    def __init__(self, *, is_queued: bool = False) -> None:
        super().__init__(None, is_queued=is_queued)


class RingStore(DiscardingStore):
    """Copies chunks to and from memory that all entries share: adds the cost of a memory copy."""

    def __init__(self, *, is_queued: bool = False) -> None:
        super().__init__(_Ring().copy, is_queued=is_queued)


class NoFile(DataFile):
    """Stand-in for a file, without a descriptor."""

    def __init__(self, copy: _Copy | None) -> None:
        super().__init__(-1, Path("nowhere"), FileIo("direct"))
        self._copy = copy

    def write(self, data: memoryview, offset: int) -> None:
        """Copy the data to the ring, if there is one."""
        del offset
        if self._copy is not None:
            self._copy(_address(data), len(data), is_write=True)

    def read(self, data: memoryview, offset: int) -> None:
        """Copy data from the ring, if there is one."""
        del offset
        if self._copy is not None:
            self._copy(_address(data), len(data), is_write=False)


class ImmediateQueue:
    """A queue that completes each transfer on submission."""

    moves_buffered = False

    def __init__(self, copy: _Copy | None) -> None:
        self._copy = copy
        self._ended: list[Event] = []
        self._woken = threading.Event()

    def register_memory(self, areas: Sequence[memoryview]) -> bool:
        """Do nothing: the kernel moves no data."""
        del areas
        return True

    def prepare(
        self, slot: int, is_write: bool, descriptor: int, address: int, size: int, offset: int
    ) -> None:
        """Complete a transfer at once."""
        del descriptor, offset
        if self._copy is not None:
            self._copy(address, size, is_write=is_write)
        self._ended.append((slot, size))

    def submit(self) -> None:
        """Do nothing: what was prepared is complete."""

    def reap(self, timeout_ns: int | None) -> list[Event]:
        """Return the transfers that completed since the last call; wait if there are none."""
        ended, self._ended = self._ended, []
        if not ended and timeout_ns != 0:
            self._woken.wait(None if timeout_ns is None else timeout_ns / NS_PER_S)
            self._woken.clear()
        return ended

    def wake(self) -> None:
        """End a wait."""
        self._woken.set()

    def reset(self) -> None:
        """Drop completed transfers."""
        self._ended = []

    def close(self) -> None:
        """Drop completed transfers."""
        self._ended = []


class _Ring:
    """Ring of memory: each transfer, of any lane, starts where the previous one ended."""

    def __init__(self) -> None:
        self._memory = AlignedBuffer(RING_BYTES)
        self._memory.sectors[:] = 0  # fault in now, not while measuring
        self._next = 0

    def copy(self, address: int, size: int, *, is_write: bool) -> None:
        """Copy to or from other memory without Python's lock, like a system call."""
        at = self._next  # two threads at once may copy to one place, which costs the same
        self._next = (at + size) % RING_BYTES
        while size:
            part = min(size, RING_BYTES - at)
            here = self._memory.address + at
            source, target = (address, here) if is_write else (here, address)
            ctypes.memmove(target, source, part)
            address, size, at = address + part, size - part, 0


def _queue_unavailable_reason() -> str:
    """Return the reason why this host provides no kernel queue; '' if it does."""
    try:
        open_queue("auto", 1).queue.close()
    except QueueRefusedError as error:
        return str(error)
    return ""


def _address(data: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(data))
