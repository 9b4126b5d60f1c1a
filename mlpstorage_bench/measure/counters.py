"""Bytes read and written, and the kernel's counters of them, each with the time it was read at."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Generic, Self, TypeVar

_ENOUGH_BYTES = 4096


@dataclass(frozen=True)
class Traffic:
    """Bytes read and written."""

    read_bytes: int
    write_bytes: int

    @property
    def total(self) -> int:
        """Both ways together."""
        return self.read_bytes + self.write_bytes

    def __sub__(self, earlier: Self) -> Self:
        """Return what was counted since an earlier count."""
        names = [part.name for part in fields(self)]
        return type(self)(*(getattr(self, name) - getattr(earlier, name) for name in names))

    @classmethod
    def sum(cls, parts: Iterable[Traffic]) -> Traffic:
        """Return all parts together."""
        parts = tuple(parts)
        return cls(sum(p.read_bytes for p in parts), sum(p.write_bytes for p in parts))


Count = TypeVar("Count", bound=Traffic)


@dataclass(frozen=True)
class Reading(Generic[Count]):
    """A counter of the kernel at one moment."""

    traffic: Count
    moment_ns: int
    """perf_counter."""


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
