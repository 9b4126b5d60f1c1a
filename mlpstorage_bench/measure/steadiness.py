"""Steadiness of a rate, by its trend and by the deviation of its parts from the mean.

Like fio's steadystate and SNIA's performance test specification: a straight line is fitted to the
parts of an interval by least squares. Its rise or fall, and the deviation of each part from the
mean, are limited to a share of the mean.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlpstorage_bench.units import NS_PER_S

PARTS = 10
"""Number of parts into which an interval is divided."""


@dataclass(frozen=True)
class Criterion:
    """Condition for a rate to count as steady."""

    window_s: float
    slope: float
    """Largest rise or fall of the trend within the window, as a share of the mean."""
    deviation: float
    """Largest deviation of a part from the mean, as a share of the mean."""


@dataclass(frozen=True)
class Steadiness:
    """Steadiness of a rate within one interval."""

    is_steady: bool
    slope: float
    deviation: float
    rates: tuple[float, ...]
    """Bytes per second of each part."""


def assess(rates: Sequence[float], criterion: Criterion) -> Steadiness:
    """Assess an interval by the rates of its parts: two or more, of equal length."""
    mean = statistics.fmean(rates)
    if mean == 0:
        return Steadiness(is_steady=False, slope=0.0, deviation=0.0, rates=tuple(rates))
    trend = statistics.linear_regression(range(len(rates)), rates).slope * (len(rates) - 1)
    slope = trend / mean
    deviation = max(abs(rate - mean) for rate in rates) / mean
    is_steady = abs(slope) <= criterion.slope and deviation <= criterion.deviation
    return Steadiness(is_steady, slope, deviation, tuple(rates))


class Sampler:
    """Samples the rate of a counter in parts of a fixed length; `sample` must be called often."""

    def __init__(self, counter: Callable[[], int], part_s: float, now_ns: int) -> None:
        self._counter = counter
        self._part_ns = max(1, round(part_s * NS_PER_S))
        self._since_ns = now_ns
        self._counted = counter()
        self.rates: list[float] = []

    def sample(self, now_ns: int) -> bool:
        """Store the rate of the current part if it is over; return whether it is."""
        if now_ns - self._since_ns < self._part_ns:
            return False
        counted = self._counter()
        elapsed_s = (now_ns - self._since_ns) / NS_PER_S
        self.rates.append((counted - self._counted) / elapsed_s)
        self._since_ns, self._counted = now_ns, counted
        return True

    def latest(self, criterion: Criterion) -> Steadiness | None:
        """Assess the last `PARTS` parts; None if there are fewer."""
        if len(self.rates) < PARTS:
            return None
        return assess(self.rates[-PARTS:], criterion)
