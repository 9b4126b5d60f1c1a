"""Time as benchmarks measured it, for pytest-benchmark.

pytest-benchmark takes a timer's difference around each round. A window's wall time says nothing, so
this timer stands still until a benchmark states what its round took.
"""

from __future__ import annotations


class MeasuredClock:
    """A timer that moves only when told."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def measured_seconds(self) -> float:
        """Return the sum of all that was measured, in seconds: pytest-benchmark's timer."""
        return self._seconds

    def advance(self, seconds: float) -> None:
        """Add what a round took."""
        self._seconds += seconds
