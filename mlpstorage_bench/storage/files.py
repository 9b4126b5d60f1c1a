"""Entries as files, one each, with direct I/O where the filesystem has it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.storage.buffers import SECTOR_BYTES, AlignedBuffer

ENTRY_SUFFIX = ".kv"
IoMode = Literal["direct", "buffered"]

_HINTS = {
    errno.ENOSPC: "The filesystem is full: lower storage_capacity_gb or use a larger one",
    errno.EDQUOT: "The quota is used up: lower storage_capacity_gb or raise the quota",
    errno.EIO: "The device or its connection failed: see the kernel's log",
    errno.ESTALE: "The file server forgot the file: the export changed during the run",
    errno.EROFS: "The filesystem became read-only: see the kernel's log",
    errno.ENOENT: "The file or its directory was removed during the run",
    errno.EMFILE: "Too many open files: raise the limit (ulimit -n)",
}


def probe_direct_io(directory: Path) -> bool:
    """Tell whether files in a directory take direct I/O, by writing and reading one."""
    path = directory / f".direct-io-probe{ENTRY_SUFFIX}"
    buffer = AlignedBuffer(SECTOR_BYTES)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_DIRECT, 0o600)
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno == errno.EINVAL:  # what open(2) says where O_DIRECT is not supported
            return False
        raise _explain("probing direct I/O on", path, error) from error
    try:
        wrote = os.pwritev(descriptor, [buffer.bytes], 0)
        return wrote == os.preadv(descriptor, [buffer.bytes], 0) == SECTOR_BYTES
    except OSError as error:
        if error.errno == errno.EINVAL:
            return False
        raise _explain("probing direct I/O on", path, error) from error
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


class EntryFiles:
    """A directory with a file per entry.

    Buffered mode is honest as far as it can be: written pages go to the device and out of the page
    cache, and are dropped again before a read.
    """

    def __init__(self, directory: Path, mode: IoMode) -> None:
        self._directory = directory
        self._mode = mode
        self._direct_flag = os.O_DIRECT if mode == "direct" else 0

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}{ENTRY_SUFFIX}"

    @contextmanager
    def writer(self, name: str, size: int) -> Iterator[_OpenFile]:
        """Create the entry's file."""
        path = self._path(name)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | self._direct_flag
        with _opened(path, flags, "creating") as descriptor:
            yield _OpenFile(descriptor, path, size, self._mode)

    @contextmanager
    def reader(self, name: str) -> Iterator[_OpenFile]:
        """Open the entry's file."""
        path = self._path(name)
        with _opened(path, os.O_RDONLY | self._direct_flag, "opening") as descriptor:
            if self._mode == "buffered":
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            yield _OpenFile(descriptor, path, 0, self._mode)

    def delete(self, name: str) -> None:
        """Remove the entry's file, if there is one."""
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _explain("removing", path, error) from error


@contextmanager
def _opened(path: Path, flags: int, action: str) -> Iterator[int]:
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _explain(action, path, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class _OpenFile:
    """An open entry's file: whole chunks in and out, short transfers completed or failed."""

    def __init__(self, descriptor: int, path: Path, size: int, mode: IoMode) -> None:
        self.path = str(path)
        self._descriptor = descriptor
        self._size = size
        self._mode = mode

    def put(self, data: memoryview, offset: int) -> None:
        """Write all of `data` at `offset`."""
        done = 0
        while done < len(data):
            try:
                done += os.pwritev(self._descriptor, [data[done:]], offset + done)
            except OSError as error:
                raise _explain("writing", self.path, error) from error

    def get(self, data: memoryview, offset: int) -> None:
        """Fill `data` from `offset`."""
        done = 0
        while done < len(data):
            try:
                count = os.preadv(self._descriptor, [data[done:]], offset + done)
            except OSError as error:
                raise _explain("reading", self.path, error) from error
            if count == 0:
                raise StorageError(
                    "reading",
                    self.path,
                    f"the file ends at offset {offset + done}; {len(data) - done} more bytes were "
                    "written there",
                    hint="It was truncated during the run, or the storage lost data",
                )
            done += count

    def make_durable(self) -> bool:
        """Send written pages to the device and drop them; direct I/O leaves none behind."""
        if self._mode == "direct":
            return False
        try:
            os.fdatasync(self._descriptor)
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            raise _explain("syncing", self.path, error) from error
        return True


def _explain(action: str, path: Path | str, error: OSError) -> StorageError:
    number = error.errno or 0
    name = errno.errorcode.get(number, "unknown error")
    cause = f"{error.strerror} ({name})"
    return StorageError(action, str(path), cause, hint=_HINTS.get(number, ""))
