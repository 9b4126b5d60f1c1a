"""The storage under a rank's directory: modes of its filesystem, and free space."""

from __future__ import annotations

import os
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.measure.device import BlockDevice
from mlpstorage_bench.storage.buffers import SECTOR_BYTES
from mlpstorage_bench.storage.direct_io import DirectIo, probe_direct_io
from mlpstorage_bench.storage.failures import storage_error
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.storage.kernel_queue import QueueChoice
from mlpstorage_bench.storage.page_cache_probe import (
    FlushCall,
    PageCacheStates,
    probe_page_cache,
)
from mlpstorage_bench.storage.uncached_io import uncached_refusal
from mlpstorage_bench.units import KIB

_CACHED: tuple[IoMode, ...] = ("buffered", "uncached")
"""Modes that move files through the page cache."""


class StorageModes:
    """Modes, alignment, queues and free space of a rank's directory.

    `asked` are the modes that cases ask for, None for the best one; it is empty if no case uses
    storage. `flushes` are the calls with which they make files durable. With `keeps_pages`, cases
    leave buffered files in the page cache.
    """

    def __init__(
        self,
        site: RankSite,
        directory: Path,
        asked: AbstractSet[IoMode | None],
        flushes: AbstractSet[FlushCall] = frozenset(),
        *,
        keeps_pages: bool = False,
    ) -> None:
        self._site = site
        self._directory = directory
        self._asked = asked
        self._flushes = flushes
        self._keeps_pages = keeps_pages
        self._direct_io = DirectIo(None)
        """Direct I/O of the filesystem; known after the probe."""
        self._uncached_refusal = ""
        """Why files cannot move uncached; known after the probe, if a case asks for it."""
        self.page_cache = PageCacheStates(problem="no case of the plan stores anything")
        """States of the page cache under the directory; measured on the host's first rank."""

    def probe(self) -> list[str]:
        """Write and read files to see what the filesystem can do; return notes on it."""
        self._direct_io = probe_direct_io(self._directory)
        if "uncached" in self._io_modes:
            self._uncached_refusal = uncached_refusal(self._directory)
        if self._site.is_first_on_host and self._asked:
            self.page_cache = probe_page_cache(
                self._directory, self._flush_calls(), self._device_bytes
            )
        return [*self._notes_on_direct_io()]

    @property
    def best_io_mode(self) -> IoMode:
        """The mode of cases that set none."""
        return "direct" if self._direct_io.is_available else "buffered"

    @property
    def is_buffered(self) -> bool:
        """Whether a case moves its files through the page cache."""
        return bool(self._io_modes - {"direct"})

    @property
    def _io_modes(self) -> set[IoMode]:
        return {mode or self.best_io_mode for mode in self._asked}

    def mode(self, asked: IoMode | None) -> IoMode:
        """Return the mode for a case; InvalidInputError if the filesystem does not have it."""
        if asked == "direct" and self.best_io_mode == "buffered":
            raise InvalidInputError(
                "io_mode",
                "direct",
                "buffered, or a filesystem that has direct I/O",
                hint=f"{self._site.cache_dir} has none ({self._direct_io.reason}). Leave io_mode "
                "out to use buffered I/O",
            )
        if asked == "uncached" and self._uncached_refusal:
            best = self.best_io_mode
            raise InvalidInputError(
                "io_mode",
                "uncached",
                f"{'buffered' if best == 'buffered' else 'direct, buffered'}, or a kernel and a "
                "filesystem that have uncached I/O",
                hint=f"{self._site.cache_dir} has none ({self._uncached_refusal}). Leave io_mode "
                f"out to use {best} I/O",
            )
        return asked or self.best_io_mode

    def queue(self, mode: IoMode) -> QueueChoice:
        """Return the queue of a case that chooses none.

        Where transfers are made within the call, Linux AIO is faster in memory; elsewhere lanes of
        a thread would wait for each other's, and without io_uring plain calls on several threads
        are better.
        """
        found = self._direct_io
        if found.returns_early or mode != "direct":
            return "auto"
        return "io_uring" if found.aio_waits and not self._site.is_in_memory else "linux_aio"

    @property
    def uses_workers(self) -> bool:
        """Whether io_uring leaves every transfer to a worker.

        It does by itself where no transfer returns early, but for filesystems that can be polled.
        """
        return not self._direct_io.returns_early

    def alignment(self, asked: IoMode | None, chunk_kib: int) -> int:
        """Return the unit of sizes for a mode; chunks must be whole units.

        InvalidInputError if they are not.
        """
        needed = self._direct_io.alignment_bytes
        if needed is None or asked in _CACHED:
            return SECTOR_BYTES
        if chunk_kib * KIB % needed:
            raise InvalidInputError(
                "io_chunk_kib",
                chunk_kib,
                f"multiples of {needed // KIB}, which direct I/O in {self._site.cache_dir} needs",
                hint="Or use io_mode=buffered",
            )
        return needed

    def free_bytes(self) -> int | None:
        """Return this rank's share of the free bytes; None if the filesystem reports none."""
        try:
            filesystem = os.statvfs(self._directory)
        except OSError as error:
            raise storage_error("measuring the free space of", self._directory, error) from error
        if filesystem.f_blocks == 0:
            return None
        return filesystem.f_bavail * filesystem.f_frsize // self._site.sharers

    def _flush_calls(self) -> list[FlushCall]:
        """Return the flushes that the plan's cases rely on, or else fsync."""
        calls = sorted(self._flushes)
        if self.is_buffered:
            has_device = BlockDevice.under(self._directory) is not None
            calls.append("sync_file_range" if has_device else "fdatasync")
        return [*dict.fromkeys(calls)] or ["fsync"]

    def _device_bytes(self) -> int | None:
        """Return the bytes that the filesystem's device has written; None without a count."""
        device = BlockDevice.under(self._directory)
        counter = None if device is None or not device.counts else device.open_counter()
        if counter is None:
            return None
        with counter:
            reading = counter.read()
        return None if reading is None else reading.traffic.write_bytes

    def _notes_on_direct_io(self) -> Iterator[str]:
        alignment_bytes = self._direct_io.alignment_bytes
        if alignment_bytes is None:
            use = (
                "as those of other programs do"
                if self._keeps_pages
                else "which is flushed and dropped around each entry"
            )
            yield (
                f"no direct I/O in {self._site.cache_dir} ({self._direct_io.reason}): files go "
                f"through the page cache, {use}"
            )
        elif alignment_bytes > SECTOR_BYTES:
            yield (
                f"direct I/O in {self._site.cache_dir} needs multiples of "
                f"{alignment_bytes // KIB} KiB: entries are stored in these"
            )
