"""The kernel's counters of bytes read and written, with the moment that a figure is of."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from typing import Generic, Self

from mlpstorage_bench.measure.traffic import Count, Reading

_ENOUGH_BYTES = 4096


class TrafficCounter(Generic[Count]):
    """A file of counters, open: one system call reads it. A context manager."""

    def __init__(self, path: str, parse: Callable[[str], Count]) -> None:
        """Open the file, whose text `parse` understands; OSError where there is none."""
        self._parse = parse
        self._text = ctypes.create_string_buffer(_ENOUGH_BYTES)
        self._pread = ctypes.PyDLL(None, use_errno=True).pread
        """As a call that keeps Python's lock: nobody begins or ends a transfer meanwhile."""
        self._pread.restype = ctypes.c_ssize_t
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._call = (
            *(ctypes.c_int(self._descriptor), self._text),
            *(ctypes.c_size_t(_ENOUGH_BYTES), ctypes.c_long(0)),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        os.close(self._descriptor)

    def read(self) -> Reading[Count] | None:
        """Return the bytes moved so far, at the middle of the call; None where it says nothing."""
        before_ns = time.perf_counter_ns()
        size = self._pread(*self._call)
        moment_ns = (before_ns + time.perf_counter_ns()) // 2
        if size <= 0:
            return None
        return Reading(self._parse(self._text.raw[:size].decode("ascii")), moment_ns)
