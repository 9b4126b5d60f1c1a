"""Stores that keep nothing: what remains when they are measured is the harness itself."""

from __future__ import annotations

import mmap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from mlpstorage_bench.storage.store import Location, Observer

RING_BYTES = 64 << 20
"""More than processors cache, so that a ring moves data through memory."""


class _Mover(Protocol):
    def put(self, data: memoryview, offset: int) -> None: ...

    def get(self, data: memoryview, offset: int) -> None: ...

    def locate(self, offset: int) -> Location: ...


class _Forgetful:
    """Takes any entry, and gives back something else of the same size."""

    keeps_content = False

    def footprint(self, size: int) -> int:
        """Return the entry's own size."""
        return size

    @contextmanager
    def writer(self, name: str, size: int, observer: Observer) -> Iterator[_Mover]:
        """Take an entry's chunks."""
        del name, size
        yield self._mover(observer)

    @contextmanager
    def reader(self, name: str, observer: Observer) -> Iterator[_Mover]:
        """Give back chunks."""
        del name
        yield self._mover(observer)

    def _mover(self, observer: Observer) -> _Mover:
        raise NotImplementedError

    def delete(self, name: str) -> None:
        """There is nothing to remove."""

    def close(self) -> None:
        """There is nothing to give back."""


class NullStore(_Forgetful):
    """Moves nothing: operations cost what the harness takes for them."""

    def _mover(self, observer: Observer) -> _Mover:
        return _Nothing(observer)


class RingStore(_Forgetful):
    """Copies chunks to and from memory that all entries share: bytes cost what memory takes."""

    def __init__(self) -> None:
        self._ring = memoryview(mmap.mmap(-1, RING_BYTES))

    def _mover(self, observer: Observer) -> _Mover:
        return _Ring(observer, self._ring)


class _Nothing:
    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def put(self, data: memoryview, offset: int) -> None:
        del offset
        started = time.perf_counter_ns()
        self._observer.chunk(len(data), started, time.perf_counter_ns())

    def get(self, data: memoryview, offset: int) -> None:
        self.put(data, offset)

    def locate(self, offset: int) -> Location:
        return Location("null", offset)


class _Ring:
    def __init__(self, observer: Observer, ring: memoryview) -> None:
        self._observer = observer
        self._ring = ring

    def put(self, data: memoryview, offset: int) -> None:
        started = time.perf_counter_ns()
        for part, ring in self._parts(data, offset):
            ring[:] = part
        self._observer.chunk(len(data), started, time.perf_counter_ns())

    def get(self, data: memoryview, offset: int) -> None:
        started = time.perf_counter_ns()
        for part, ring in self._parts(data, offset):
            part[:] = ring
        self._observer.chunk(len(data), started, time.perf_counter_ns())

    def locate(self, offset: int) -> Location:
        return Location("ring", offset)

    def _parts(self, data: memoryview, offset: int) -> Iterator[tuple[memoryview, memoryview]]:
        done = 0
        while done < len(data):
            start = (offset + done) % RING_BYTES
            length = min(RING_BYTES - start, len(data) - done)
            yield data[done : done + length], self._ring[start : start + length]
            done += length
