"""The interval in which operations count, the same for all ranks."""

from __future__ import annotations

from dataclasses import dataclass

from mlpstorage_bench.measure.clock import Clock, RealClock
from mlpstorage_bench.units import NS_PER_S

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
    """An interval of a clock's time; warm-up lies before it, the drain after it.

    One thread opens and closes it; workers ask whether the end of their operation lies inside. What
    has ended before a close that comes early still counts.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or RealClock()
        self.opened_ns = _NEVER
        self.closes_ns = _NEVER
        self.process_counted = Interval()
        """Between the readings of the process's counters at its two edges."""
        self.device_counted = Interval()
        """Between those of the device's."""

    def open(self, duration_s: float, at_ns: int | None = None) -> None:
        """Open the window, now unless said, to close by itself after `duration_s`."""
        opens_ns = self.clock.now_ns() if at_ns is None else at_ns
        self.closes_ns = opens_ns + round(duration_s * NS_PER_S)
        self.opened_ns = opens_ns

    def close(self) -> None:
        """Close the window now, if it has not closed by itself."""
        self.closes_ns = min(self.closes_ns, self.clock.now_ns())

    def contains(self, moment_ns: int) -> bool:
        """Whether an operation that ended at this moment counts."""
        return self.opened_ns <= moment_ns < self.closes_ns

    @property
    def is_over(self) -> bool:
        """Whether the window has been open and has closed."""
        return self.clock.now_ns() >= self.closes_ns

    @property
    def remaining_s(self) -> float:
        """Seconds until it closes."""
        return max(0.0, (self.closes_ns - self.clock.now_ns()) / NS_PER_S)

    @property
    def length_s(self) -> float:
        """How long it was open, in seconds."""
        return (self.closes_ns - self.opened_ns) / NS_PER_S
