"""Pages of a file in the page cache, as the kernel counts them: cachestat(2), else mincore(2).

cachestat(2) is of Linux 6.5, and counts pages that are not written yet as well. Its number is the
same on every 64-bit architecture that Python runs on but Alpha.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import sys
from dataclasses import dataclass
from typing import Literal

Counter = Literal["cachestat", "mincore"]

_CACHESTAT = 451
_WITHOUT_CALL = frozenset({errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP})
"""Errors of an older kernel, of a sandbox, and of hugetlbfs."""
_RESIDENT = 1
"""Bit of mincore's answer for a page."""


class _Range(ctypes.Structure):
    """struct cachestat_range: length 0 reaches to the file's end."""

    _fields_ = (("offset", ctypes.c_uint64), ("length", ctypes.c_uint64))


class _CacheStat(ctypes.Structure):
    """struct cachestat, in pages."""

    _fields_ = (
        ("cached", ctypes.c_uint64),
        ("dirty", ctypes.c_uint64),
        ("in_writeback", ctypes.c_uint64),
        ("evicted", ctypes.c_uint64),
        ("recently_evicted", ctypes.c_uint64),
    )


@dataclass(frozen=True)
class PageCounts:
    """Pages of a file at one moment."""

    cached: int
    unwritten: int | None
    """Dirty pages, and those that are being written; None if mincore(2) counted."""
    counted_by: Counter


def count_pages(descriptor: int, size: int) -> PageCounts:
    """Return the pages of an open file of `size` bytes; OSError if no call counts them.

    The file must be open for reading and writing.
    """
    try:
        return _cachestat(descriptor)
    except OSError as error:
        if error.errno not in _WITHOUT_CALL:
            raise
    return PageCounts(_mincore(descriptor, size), None, "mincore")


def _cachestat(descriptor: int) -> PageCounts:
    if sys.maxsize <= 1 << 32 or platform.machine() == "alpha":
        raise OSError(errno.ENOSYS, "cachestat(2) has another number here")
    found = _CacheStat()
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    done = call(
        *(ctypes.c_long(_CACHESTAT), ctypes.c_uint(descriptor)),
        *(ctypes.byref(_Range(0, 0)), ctypes.byref(found), ctypes.c_uint(0)),
    )
    if done != 0:
        _raise()
    return PageCounts(found.cached, found.dirty + found.in_writeback, "cachestat")


def _mincore(descriptor: int, size: int) -> int:
    """Return the cached pages of a file; a mapping that nothing touches loads none."""
    with mmap.mmap(descriptor, size) as mapping:
        answer = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
        content = (ctypes.c_char * size).from_buffer(mapping)
        address = ctypes.c_void_p(ctypes.addressof(content))
        done = ctypes.CDLL(None, use_errno=True).mincore(address, ctypes.c_size_t(size), answer)
        del content  # the mapping cannot be closed before
    if done != 0:
        _raise()
    return sum(page & _RESIDENT for page in answer)


def _raise() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
