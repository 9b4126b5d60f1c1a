"""Files with and without the page cache: complete transfers in both directions."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.storage.failures import (
    short_file_error,
    storage_error,
    zero_length_write_error,
)
from mlpstorage_bench.storage.lane_waits import off_thread
from mlpstorage_bench.storage.queue_calls import off_lane, open_file, sync_file
from mlpstorage_bench.storage.store import Observer

DATA_SUFFIX = ".kv"
"""Suffix of every file with cache data, in every layout."""

IoMode = Literal["direct", "buffered", "uncached"]
Durability = Literal["none", "fdatasync", "fsync"]
WRITE_BACK = 1 | 2 | 4
"""Flags of sync_file_range(2): wait before, write, wait after."""
DONTCACHE = 0x80
"""RWF_DONTCACHE, a flag of a transfer."""
SYNC_BYTES = 64 << 20
"""Bytes of an entry in the page cache after which a file is synced where it must be synced whole: a
sync for each chunk would be one commit of the filesystem's journal each."""
_NO_FALLOCATE = (errno.EOPNOTSUPP, errno.ENOSYS)


@dataclass(frozen=True)
class FileIo:
    """Modes in which files are opened, and made durable when complete.

    Uncached mode is buffered mode with transfers that leave no page in the page cache. Pages are
    dropped all the same: the kernel keeps those that it had before, or writes back in an interrupt.

    Buffered mode keeps the page cache out as far as possible: written pages are written back and
    dropped from the page cache, and dropped again before a read, without read-ahead. Nothing counts
    as written before it was written back.
    """

    mode: IoMode
    durability: Durability = "none"
    writes_back_chunks: bool = False
    """Whether buffered mode writes each chunk back before its write returns. Only a filesystem on a
    block device of its own does that by sync_file_range(2): others, such as overlayfs, keep pages
    elsewhere and return at once. There, files are synced."""
    reserves: bool = False
    """Whether files get their whole size when they are created. Files that grow while they are
    written are slower on filesystems that serialize writes beyond the end of a file (ext4)."""
    keeps_pages: bool = False
    """Whether buffered files use the page cache as those of other programs do: reads read ahead,
    and what was written or read stays there."""
    drops_later: bool = False
    """Whether whoever moves the files drops their pages when the time of that is over, so that
    neither the end of a write nor an opening drops any."""
    syncs_on_the_way: bool = True
    """Whether a file that must be synced whole is synced again and again while it is written, and
    not only when it is complete."""

    @cached_property
    def is_direct(self) -> bool:
        """Whether files bypass the page cache."""
        return self.mode == "direct"

    @cached_property
    def drops_pages(self) -> bool:
        """Whether the end of a write, and an opening, drop the file's pages."""
        return not (self.is_direct or self.keeps_pages or self.drops_later)

    @cached_property
    def transfer_flags(self) -> int:
        """Flags of each transfer (preadv2(2))."""
        return DONTCACHE if self.mode == "uncached" else 0

    @cached_property
    def writes_back(self) -> bool:
        """Whether each written chunk is written back before it counts."""
        return self.writes_back_chunks and not self.is_direct

    @cached_property
    def counts_at_sync(self) -> bool:
        """Whether written bytes are only known to be on the storage after a sync of their file."""
        return not (self.is_direct or self.writes_back_chunks)

    @cached_property
    def needs_sync(self) -> bool:
        """Whether a complete file is synced, or its pages leave the page cache."""
        return self.durability != "none" or not self.is_direct

    def create(self, path: Path, size: int) -> DataFile:
        """Create a file that will have `size` bytes; it must not exist."""
        return off_lane(self._create, path, size)

    def _create(self, path: Path, size: int) -> DataFile:
        file = self._open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, "creating")
        try:
            self._prepare(file)
            if self.reserves:
                off_thread(file.reserve, size)
        except StorageError:
            file.close()
            remove(path)
            raise
        return file

    def open(self, path: Path) -> DataFile:
        """Open a file for reading."""
        return off_lane(self._open_for_reading, path)

    def _open_for_reading(self, path: Path) -> DataFile:
        file = self._open(path, os.O_RDONLY, "opening")
        try:
            self._prepare(file)
        except StorageError:
            file.close()
            raise
        return file

    def open_stored(self, path: Path) -> DataFile:
        """Open a file for reading; where pages are dropped, with none of it in the page cache."""
        return self.open_uncached(path) if self.drops_pages else self.open(path)

    def open_uncached(self, path: Path) -> DataFile:
        """Open a file for reading, with no page of it in the page cache."""
        return off_lane(self._open_uncached, path)

    def _open_uncached(self, path: Path) -> DataFile:
        file = self._open_for_reading(path)
        try:
            if not self.is_direct:
                off_thread(file.drop_cached_pages)
        except StorageError:
            file.close()
            raise
        return file

    def _open(self, path: Path, flags: int, action: str) -> DataFile:
        direct = os.O_DIRECT if self.is_direct else 0
        try:
            descriptor = open_file(path, flags | direct | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise storage_error(action, path, error) from error
        return DataFile(descriptor, path, self)

    def _prepare(self, file: DataFile) -> None:
        if not self.is_direct and not self.keeps_pages:
            file.turn_off_read_ahead()


class DataFile:
    """An open file, usable by several threads; short transfers are completed, or fail."""

    def __init__(self, descriptor: int, path: Path, io: FileIo) -> None:
        self.path = path
        self.descriptor = descriptor
        self._io = io

    @property
    def counts_at_sync(self) -> bool:
        """Whether written bytes are only known to be on the storage after a sync of the file."""
        return self._io.counts_at_sync

    def write(self, data: memoryview, offset: int) -> None:
        """Write all of `data` at `offset`; unless `counts_at_sync`, to the storage."""
        size, flags = len(data), self._io.transfer_flags
        try:
            done = os.pwritev(self.descriptor, (data,), offset, flags)
            while done < size:
                count = os.pwritev(self.descriptor, (data[done:],), offset + done, flags)
                if count == 0:
                    raise zero_length_write_error(self.path, offset + done, size - done)
                done += count
        except OSError as error:
            raise storage_error("writing", self.path, error, offset) from error
        if self._io.writes_back:
            self.write_back(offset, size)

    def write_back(self, offset: int, size: int) -> None:
        """Write a range's pages from the page cache to the device, and wait for that."""
        place = (ctypes.c_int(self.descriptor), ctypes.c_long(offset), ctypes.c_long(size))
        if _libc().sync_file_range(*place, ctypes.c_uint(WRITE_BACK)) != 0:
            number = ctypes.get_errno()
            error = OSError(number, os.strerror(number))
            raise storage_error("writing back", self.path, error, offset) from error

    def read(self, data: memoryview, offset: int) -> None:
        """Fill `data` from `offset`."""
        size, flags = len(data), self._io.transfer_flags
        try:
            done = os.preadv(self.descriptor, (data,), offset, flags)
            while done < size:
                count = os.preadv(self.descriptor, (data[done:],), offset + done, flags)
                if count == 0:
                    raise short_file_error(self.path, offset + done, size - done)
                done += count
        except OSError as error:
            raise storage_error("reading", self.path, error, offset) from error

    def make_durable(self, observer: Observer, cached_bytes: int = 0) -> None:
        """Sync the file as configured, or as buffered mode needs it.

        `cached_bytes` of the observer's entry were written and count from the sync's end on.
        """
        durability = self._io.durability
        if durability == "none" and not self.counts_at_sync:
            return
        try:
            span = sync_file(self.descriptor, data_only=durability != "fsync")
        except OSError as error:
            raise storage_error("syncing", self.path, error) from error
        observer.durable(span.started_ns, span.ended_ns, cached_bytes, span.late_ns)

    def drop_cached_pages(self, offset: int = 0, length: int = 0) -> None:
        """Drop clean pages from the page cache, so that reads reach the device.

        `length` 0: up to the end of the file.
        """
        if self._io.is_direct:
            return
        try:
            os.posix_fadvise(self.descriptor, offset, length, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            raise storage_error("dropping cached pages of", self.path, error) from error

    def turn_off_read_ahead(self) -> None:
        """Make reads read what is requested, and no chunk before its turn."""
        try:
            os.posix_fadvise(self.descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        except OSError as error:
            raise storage_error("turning off read-ahead of", self.path, error) from error

    def reserve(self, size: int) -> None:
        """Give the file its whole size, with allocated space if the filesystem supports it.

        Unlike `preallocate`, it never falls back to writing to every block.
        """
        try:
            _reserve(self.descriptor, size)
        except OSError as error:
            raise storage_error("preallocating", self.path, error) from error

    def preallocate(self, size: int) -> None:
        """Give the file its whole size, with allocated space."""
        try:
            os.posix_fallocate(self.descriptor, 0, size)
        except OSError as error:
            raise storage_error("preallocating", self.path, error) from error

    def close(self) -> None:
        """Close the file; a network filesystem may report a failed write only now."""
        try:
            os.close(self.descriptor)
        except OSError as error:
            raise storage_error("closing", self.path, error) from error


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _reserve(descriptor: int, size: int) -> None:
    begin, end = ctypes.c_long(0), ctypes.c_long(size)
    if _libc().fallocate(ctypes.c_int(descriptor), ctypes.c_int(0), begin, end) == 0:
        return
    number = ctypes.get_errno()
    if number not in _NO_FALLOCATE:
        raise OSError(number, os.strerror(number))
    os.ftruncate(descriptor, size)


def remove(path: Path) -> None:
    """Remove a file, if it exists."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error("removing", path, error) from error
