"""Bytes moved both ways: what a rank reports, what the kernel counts for a process or a device."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Traffic:
    """Bytes read and written."""

    read_bytes: int
    write_bytes: int

    @property
    def total(self) -> int:
        """Both ways together."""
        return self.read_bytes + self.write_bytes

    def __sub__(self, earlier: Traffic) -> Traffic:
        """Return what moved since an earlier count."""
        return Traffic(self.read_bytes - earlier.read_bytes, self.write_bytes - earlier.write_bytes)

    @classmethod
    def sum(cls, parts: Iterable[Traffic]) -> Traffic:
        """Return all parts together."""
        parts = tuple(parts)
        return cls(sum(p.read_bytes for p in parts), sum(p.write_bytes for p in parts))


@dataclass(frozen=True)
class Reading:
    """A counter of the kernel at one moment."""

    traffic: Traffic
    moment_ns: int
    """perf_counter."""
