"""Probe of the page cache under a directory: what a flush and a drop leave in it.

A file is written through the page cache and flushed with the engine's own calls; the kernel counts
its pages before and after. The probe only records these states: `cluster.findings` judges them.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.storage.files import DATA_SUFFIX, DataFile, FileIo, remove
from mlpstorage_bench.storage.page_counts import Counter, PageCounts, count_pages

PROBE_BYTES = 16 << 20
LIMIT_S = 25.0
"""Time that a probe may take; all probes of a host together take less than 30 s."""
FlushCall = Literal["fsync", "fdatasync", "sync_file_range"]
_DROPS = 2
"""Attempts to drop cached pages: the first may find some that another processor still holds."""


@dataclass(frozen=True)
class FlushState:
    """Pages around one call that flushes them."""

    call: FlushCall
    unwritten_before: int | None
    """Pages that were dirty or being written after the write; None if they cannot be counted."""
    unwritten_after: int | None
    """The same after the flush."""
    device_bytes: int | None
    """Bytes that the device wrote for all processes, from before the write until after the flush;
    None if it does not count."""


@dataclass(frozen=True)
class PageCacheStates:
    """States of the probe's file in the page cache."""

    pages: int = 0
    """Pages of the file."""
    counted_by: Counter | None = None
    """Call that counted them; None if none did."""
    flushes: tuple[FlushState, ...] = ()
    cached_before_drop: int | None = None
    """Pages in the page cache after the last flush."""
    cached_after_drop: int | None = None
    """The same after they were dropped twice."""
    problem: str = ""
    """Reason why the probe did not end; '' if it did."""


def probe_page_cache(
    directory: Path,
    calls: Sequence[FlushCall],
    device_bytes: Callable[[], int | None] = lambda: None,
    limit_s: float = LIMIT_S,
) -> PageCacheStates:
    """Return the states of a file in the directory; it is removed again.

    `calls` are the engine's flushes. `device_bytes` returns the bytes that the directory's device
    has written. Storage that hangs ends the probe after `limit_s`: the kernel ends its last call
    later.
    """
    probe = _Probe(directory, device_bytes)
    thread = threading.Thread(target=probe.run, args=(calls,), name="page cache probe", daemon=True)
    thread.start()
    try:
        thread.join(limit_s)
    finally:
        probe.is_stopped = True
    if thread.is_alive():
        return PageCacheStates(problem=f"the probe had not ended after {limit_s:g} s")
    assert probe.states is not None, "the probe's thread has failed"
    return probe.states


class _Probe:
    """One probe, which runs in a thread of its own."""

    def __init__(self, directory: Path, device_bytes: Callable[[], int | None]) -> None:
        self.states: PageCacheStates | None = None
        self.is_stopped = False
        """Whether nobody waits for the probe any more."""
        self._path = directory / f".page-cache-probe{DATA_SUFFIX}"
        self._device_bytes = device_bytes
        self._content = memoryview(b"")
        self._counts: PageCounts | None = None

    def run(self, calls: Sequence[FlushCall]) -> None:
        """Set the states."""
        self._content = memoryview(os.urandom(PROBE_BYTES))  # no filesystem compresses it
        flushes: list[FlushState] = []
        dropped: list[int] = []
        problem = ""
        try:
            for call in calls:
                dropped = self._flush_and_drop(call, flushes)
        except (StorageError, OSError) as error:
            problem = str(error)
        self.states = PageCacheStates(
            pages=PROBE_BYTES // mmap.PAGESIZE,
            counted_by=None if self._counts is None else self._counts.counted_by,
            flushes=tuple(flushes),
            cached_before_drop=dropped[0] if dropped else None,
            cached_after_drop=dropped[-1] if dropped else None,
            problem=problem,
        )

    def _flush_and_drop(self, call: FlushCall, flushes: list[FlushState]) -> list[int]:
        """Add the states around a flush; return the cached pages before and after each drop."""
        file = _io_of(call).create(self._path, PROBE_BYTES)
        try:
            try:
                flushes.append(self._flush(file, call))
                cached = [self._count(file).cached]
                for _ in range(_DROPS):
                    file.drop_cached_pages()
                    cached.append(self._count(file).cached)
            finally:
                file.close()
        finally:
            remove(self._path)
        return cached

    def _flush(self, file: DataFile, call: FlushCall) -> FlushState:
        written_before = self._device_bytes()
        file.write(self._content, 0)
        unwritten_before = self._count(file).unwritten
        if self.is_stopped:
            raise OSError("the probe was stopped")
        if call == "sync_file_range":
            file.write_back(0, PROBE_BYTES)
        else:
            file.make_durable(_Ignored())
        unwritten_after = self._count(file).unwritten
        written_after = self._device_bytes()
        is_counted = written_before is not None and written_after is not None
        return FlushState(
            call,
            unwritten_before,
            unwritten_after,
            written_after - written_before if is_counted else None,  # type: ignore[operator]  # just looked
        )

    def _count(self, file: DataFile) -> PageCounts:
        self._counts = count_pages(file.descriptor, PROBE_BYTES)
        return self._counts


def _io_of(call: FlushCall) -> FileIo:
    """Return the modes of a file whose durability is this call; its writes are not written back."""
    return FileIo("buffered", "none" if call == "sync_file_range" else call)


class _Ignored:
    """Observer of transfers that nobody measures."""

    def chunk(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
        """Ignore a transfer."""

    def cached(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
        """Ignore a write to the page cache."""

    def durable(
        self, started_ns: int, ended_ns: int, cached_bytes: int = 0, late_ns: int = 0
    ) -> None:
        """Ignore a sync."""

    def verified(self, started_ns: int, ended_ns: int) -> None:
        """Ignore a check."""
