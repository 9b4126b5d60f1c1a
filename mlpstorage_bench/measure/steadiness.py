"""Whether a rate is steady: its trend, and how far its parts are from the mean.

As fio's steadystate and SNIA's performance test specification do it: a straight line is laid
through the parts of an interval by least squares; it may rise or fall, and single parts may lie off
the mean, by no more than a share of the mean.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlpstorage_bench.units import NS_PER_S

PARTS = 10
"""An interval is judged by the rates of so many parts of it."""


@dataclass(frozen=True)
class Criterion:
    """When a rate counts as steady."""

    window_s: float
    slope: float
    """Rise or fall of the trend within the window, as a share of the mean."""
    deviation: float
    """Of any part from the mean, as a share of it."""


@dataclass(frozen=True)
class Steadiness:
    """How steady a rate was within one interval."""

    is_steady: bool
    slope: float
    deviation: float
    rates: tuple[float, ...]
    """Bytes per second, part by part: the evidence."""


def assess(rates: Sequence[float], criterion: Criterion) -> Steadiness:
    """Judge the rates of an interval's parts, which are of one length; there are two or more."""
    mean = statistics.fmean(rates)
    if mean == 0:
        return Steadiness(is_steady=False, slope=0.0, deviation=0.0, rates=tuple(rates))
    trend = statistics.linear_regression(range(len(rates)), rates).slope * (len(rates) - 1)
    slope = trend / mean
    deviation = max(abs(rate - mean) for rate in rates) / mean
    is_steady = abs(slope) <= criterion.slope and deviation <= criterion.deviation
    return Steadiness(is_steady, slope, deviation, tuple(rates))


class Sampler:
    """Takes the rate of a counter, part by part, when it is looked at often enough."""

    def __init__(self, counter: Callable[[], int], part_s: float, now_ns: int) -> None:
        self._counter = counter
        self._part_ns = round(part_s * NS_PER_S)
        self._since_ns = now_ns
        self._counted = counter()
        self.rates: list[float] = []

    def look(self, now_ns: int) -> bool:
        """Take the rate since the last part's end when a part is over; return whether it was."""
        if now_ns - self._since_ns < self._part_ns:
            return False
        counted = self._counter()
        elapsed_s = (now_ns - self._since_ns) / NS_PER_S
        self.rates.append((counted - self._counted) / elapsed_s)
        self._since_ns, self._counted = now_ns, counted
        return True

    def latest(self, criterion: Criterion) -> Steadiness | None:
        """Judge the last parts; None before there are enough of them."""
        if len(self.rates) < PARTS:
            return None
        return assess(self.rates[-PARTS:], criterion)
