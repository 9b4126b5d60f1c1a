"""Kernel counters of bytes read and written, with the time of each reading."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Generic, Protocol, Self, TypeVar

_ENOUGH_BYTES = 4096
_MOST_BYTES = 2**24
"""No file of counters is as long: what grows while it is read would otherwise never end."""


@dataclass(frozen=True)
class Traffic:
    """Bytes read and written."""

    read_bytes: int
    write_bytes: int

    @property
    def total(self) -> int:
        """Sum of both directions."""
        return self.read_bytes + self.write_bytes

    def __sub__(self, earlier: Self) -> Self:
        """Return the difference from an earlier count."""
        names = [part.name for part in fields(self)]
        return type(self)(*(getattr(self, name) - getattr(earlier, name) for name in names))

    @classmethod
    def sum(cls, parts: Iterable[Traffic]) -> Traffic:
        """Return the sum of the parts."""
        parts = tuple(parts)
        return cls(sum(p.read_bytes for p in parts), sum(p.write_bytes for p in parts))


Count = TypeVar("Count", bound=Traffic)


@dataclass(frozen=True)
class Reading(Generic[Count]):
    """Value of a kernel counter at one moment."""

    traffic: Count
    moment_ns: int
    """Time of `perf_counter_ns`."""


class Counter(Protocol[Count]):
    """An open counter of the kernel's."""

    def read(self) -> Reading[Count] | None:
        """Return the bytes moved up to now; None if they cannot be read."""
        ...


class KernelFile:
    """An open file of /proc or /sys, read by one system call that keeps Python's lock."""

    def __init__(self, path: str) -> None:
        """Open the file; raises OSError if it does not exist."""
        self._text = ctypes.create_string_buffer(_ENOUGH_BYTES)
        self._pread = ctypes.PyDLL(None, use_errno=True).pread
        """Keeps Python's lock during the call, so that no transfer starts or ends meanwhile."""
        self._pread.restype = ctypes.c_ssize_t
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._call = (
            *(ctypes.c_int(self._descriptor), self._text),
            ctypes.c_size_t(_ENOUGH_BYTES),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def read(self, offset: int = 0) -> bytes:
        """Return what one call reads; empty at the end, or if the kernel refuses."""
        size = self._pread(*self._call, ctypes.c_long(offset))
        return self._text.raw[:size] if size > 0 else b""

    def read_to_end(self) -> bytes:
        """Return the content, read by as many calls as it takes, up to a limit."""
        content = b""
        while (part := self.read(len(content))) and len(content) < _MOST_BYTES:
            content += part
        return content

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class TrafficCounter(Generic[Count]):
    """An open file of counters, read by one system call. Context manager."""

    def __init__(self, path: str, parse: Callable[[str], Count]) -> None:
        """Open the file, whose text `parse` converts; raises OSError if it does not exist."""
        self._parse = parse
        self._file = KernelFile(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._file.close()

    def read(self) -> Reading[Count] | None:
        """Return the bytes moved up to the middle of the call; None if the file is empty."""
        before_ns = time.perf_counter_ns()
        text = self._file.read()
        moment_ns = (before_ns + time.perf_counter_ns()) // 2
        return Reading(self._parse(text.decode("ascii")), moment_ns) if text else None
