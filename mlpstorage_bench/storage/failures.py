"""Errors of file operations: operation, path, cause, and a hint what to do."""

from __future__ import annotations

import errno
from pathlib import Path

from mlpstorage_bench.errors import StorageError

_HINTS = {
    errno.ENOSPC: "The filesystem is full: free space there, or name a directory of a larger one "
    "with --mlps-cache-dir; --mlps-datasize says what the run needs",
    errno.EDQUOT: "The quota is used up: raise it, or name another directory with "
    "--mlps-cache-dir; --mlps-datasize says what the run needs",
    errno.EIO: "The device or its connection failed: see the kernel's log",
    errno.ESTALE: "The file server no longer knows the file: the export changed during the run",
    errno.EROFS: "The filesystem became read-only: see the kernel's log",
    errno.ENOENT: "The file or its directory was removed during the run",
    errno.EMFILE: "Too many open files: raise the limit (ulimit -n)",
    errno.EINVAL: "The filesystem refused the transfer's size, alignment or flags",
}


def storage_error(
    action: str, path: Path | str, error: OSError, offset: int | None = None
) -> StorageError:
    """Return the error to raise when `action` on `path` failed with an OSError."""
    number = error.errno or 0
    name = errno.errorcode.get(number, "unknown error")
    place = "" if offset is None else f"at offset {offset}: "
    cause = f"{place}{error.strerror} ({name})"
    return StorageError(action, str(path), cause, hint=_HINTS.get(number, ""))


def short_file_error(path: Path | str, end: int, missing: int) -> StorageError:
    """Return the error to raise for a file that is `missing` bytes shorter than written."""
    return StorageError(
        "reading",
        str(path),
        f"the file ends at offset {end}; {missing} more bytes were written there",
        hint="It was truncated during the run, or the storage lost data",
    )


def zero_length_write_error(path: Path | str, offset: int, missing: int) -> StorageError:
    """Return the error to raise for a write of 0 bytes without an error code."""
    return StorageError(
        "writing",
        str(path),
        f"at offset {offset} the system wrote 0 of {missing} bytes and reported no error",
        hint="The filesystem is faulty: see the kernel's log",
    )
