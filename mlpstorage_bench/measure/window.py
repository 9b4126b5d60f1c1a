"""The interval in which operations count, the same for all ranks."""

from __future__ import annotations

from dataclasses import dataclass

from mlpstorage_bench.measure.clock import Clock, RealClock
from mlpstorage_bench.units import NS_PER_S

_NEVER = 2**63


@dataclass
class Interval:
    """Half-open interval of perf_counter times; empty until both ends are set."""

    start_ns: int = _NEVER
    end_ns: int = _NEVER

    def contains(self, moment_ns: int) -> bool:
        """Return whether a time is inside."""
        return self.start_ns <= moment_ns < self.end_ns


class Window:
    """Measurement interval of a clock; the warm-up precedes it, the drain follows.

    One thread opens and closes it; workers check whether their operation ended inside. If it closes
    early, operations that ended before still count.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or RealClock()
        self.opened_ns = _NEVER
        self.closes_ns = _NEVER
        self.process_counted = Interval()
        """Interval between the readings of the process's counters at the two edges."""
        self.device_counted = Interval()
        """Interval between the readings of the device's counters at the two edges."""

    def open(self, duration_s: float, at_ns: int | None = None) -> None:
        """Open the window for `duration_s`, starting at `at_ns` or now."""
        opens_ns = self.clock.now_ns() if at_ns is None else at_ns
        self.closes_ns = opens_ns + round(duration_s * NS_PER_S)
        self.opened_ns = opens_ns

    def close(self) -> None:
        """Close the window now, unless it has closed already; not before it opens."""
        self.closes_ns = max(self.opened_ns, min(self.closes_ns, self.clock.now_ns()))

    def contains(self, moment_ns: int) -> bool:
        """Return whether an operation that ended at this time counts."""
        return self.opened_ns <= moment_ns < self.closes_ns

    def overlap_ns(self, start_ns: int, end_ns: int) -> int:
        """Return how much of an interval lies inside."""
        return max(0, min(end_ns, self.closes_ns) - max(start_ns, self.opened_ns))

    @property
    def is_over(self) -> bool:
        """Whether the window has closed."""
        return self.clock.now_ns() >= self.closes_ns

    @property
    def remaining_s(self) -> float:
        """Seconds until the window closes."""
        return max(0.0, (self.closes_ns - self.clock.now_ns()) / NS_PER_S)

    @property
    def length_s(self) -> float:
        """Length of the window in seconds."""
        return (self.closes_ns - self.opened_ns) / NS_PER_S
