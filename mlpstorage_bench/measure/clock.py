"""Clocks: real time, or virtual time that advances only by waits."""

from __future__ import annotations

import time
from functools import cached_property
from typing import Protocol

from mlpstorage_bench.process.identity import clock_number


class Change(Protocol):
    """Something that one can wait for."""

    def wait(self, until_ns: int | None) -> None:
        """Wait until it has happened or the time (perf_counter) is reached."""
        ...


class Clock(Protocol):
    """Source of time in nanoseconds, with waits."""

    @property
    def number(self) -> int:
        """Number that processes with this very clock have, and no others; 0 if that is unknown."""
        ...

    def now_ns(self) -> int:
        """Return the time since an arbitrary start."""
        ...

    def wait(self, change: Change, until_ns: int | None) -> None:
        """Wait until the change has happened or the time is reached."""
        ...


class RealClock:
    """`time.perf_counter_ns`."""

    @cached_property
    def number(self) -> int:
        """Number of the host's monotonic clock, which `perf_counter_ns` reads."""
        return clock_number()

    def now_ns(self) -> int:
        """Return `time.perf_counter_ns()`."""
        return time.perf_counter_ns()

    def wait(self, change: Change, until_ns: int | None) -> None:
        """Wait until the change has happened or the time is reached."""
        change.wait(until_ns)


class VirtualClock:
    """Clock of a single-threaded simulation: only waits advance it, and they return at once."""

    number = 0
    """Each simulation has a clock of its own."""

    def __init__(self) -> None:
        self._now_ns = 0

    def now_ns(self) -> int:
        """Return the end of the latest wait."""
        return self._now_ns

    def wait(self, change: Change, until_ns: int | None) -> None:
        """Advance to that time."""
        del change
        if until_ns is None:
            raise AssertionError("a simulation waits without an end time")
        self.advance(until_ns)

    def advance(self, until_ns: int) -> None:
        """Advance to that time, unless it is in the past."""
        self._now_ns = max(self._now_ns, until_ns)
