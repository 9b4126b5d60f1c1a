"""Bytes moved both ways: what a rank reports, what the kernel counts for a process or a device."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Generic, Self, TypeVar


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
