"""The interval in which operations count, the same for all ranks."""

from __future__ import annotations

import time
from dataclasses import dataclass

NS_PER_S = 1_000_000_000
_NEVER = 2**63


@dataclass
class Interval:
    """From one moment (perf_counter) to before another; empty until both are known."""

    start_ns: int = _NEVER
    end_ns: int = _NEVER

    def contains(self, moment_ns: int) -> bool:
        """Whether a moment lies inside."""
        return self.start_ns <= moment_ns < self.end_ns


class Window:
    """An interval of `time.perf_counter_ns`; warm-up lies before it, the drain after it.

    One thread opens and closes it; workers ask whether the end of their operation lies inside. What
    has ended before a close that comes early still counts.
    """

    def __init__(self) -> None:
        self.opened_ns = _NEVER
        self.closes_ns = _NEVER
        self.process_counted = Interval()
        """Between the readings of the process's counters at its two edges."""
        self.device_counted = Interval()
        """Between those of the device's."""

    def open(self, duration_s: float) -> None:
        """Open the window now, to close by itself after `duration_s`."""
        now = time.perf_counter_ns()
        self.closes_ns = now + round(duration_s * NS_PER_S)
        self.opened_ns = now

    def close(self) -> None:
        """Close the window now, if it has not closed by itself."""
        self.closes_ns = min(self.closes_ns, time.perf_counter_ns())

    def contains(self, moment_ns: int) -> bool:
        """Whether an operation that ended at this moment counts."""
        return self.opened_ns <= moment_ns < self.closes_ns

    @property
    def is_over(self) -> bool:
        """Whether the window has been open and has closed."""
        return time.perf_counter_ns() >= self.closes_ns

    @property
    def remaining_s(self) -> float:
        """Seconds until it closes."""
        return max(0.0, (self.closes_ns - time.perf_counter_ns()) / NS_PER_S)

    @property
    def length_s(self) -> float:
        """How long it was open, in seconds."""
        return (self.closes_ns - self.opened_ns) / NS_PER_S
