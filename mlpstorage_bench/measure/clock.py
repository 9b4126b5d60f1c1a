"""Time: the real one, or one that passes only when there is something to wait for."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from mlpstorage_bench.units import NS_PER_S


class Clock(Protocol):
    """Tells the time in nanoseconds, and waits."""

    def now_ns(self) -> int:
        """Return the time, from a start that means nothing."""
        ...

    def wait(self, changed: threading.Condition, until_ns: int | None) -> None:
        """Wait, holding the condition, until it is notified or the moment has come."""
        ...


class RealClock:
    """`time.perf_counter_ns`."""

    def now_ns(self) -> int:
        """Return `time.perf_counter_ns()`."""
        return time.perf_counter_ns()

    def wait(self, changed: threading.Condition, until_ns: int | None) -> None:
        """Wait until notified or until the moment."""
        left_ns = None if until_ns is None else max(0, until_ns - self.now_ns())
        changed.wait(None if left_ns is None else left_ns / NS_PER_S)


class VirtualClock:
    """Stands still but for waits, which take no time: for one thread that simulates."""

    def __init__(self) -> None:
        self._now_ns = 0

    def now_ns(self) -> int:
        """Return the moment that was last waited for."""
        return self._now_ns

    def wait(self, changed: threading.Condition, until_ns: int | None) -> None:
        """Go on to that moment."""
        del changed
        if until_ns is None:
            raise AssertionError("a simulation waits for something that cannot come")
        self.advance(until_ns)

    def advance(self, until_ns: int) -> None:
        """Let time pass until a moment; not back to one that has passed."""
        self._now_ns = max(self._now_ns, until_ns)
