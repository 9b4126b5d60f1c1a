"""Scales of a chart: positions of values, and values at which an axis is labelled."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_MOST_STEPS = 9
"""Labels of a logarithmic axis: of more, only powers of ten have one."""
_LEAST_SPAN = 1e-12


@dataclass(frozen=True)
class Scale:
    """Maps values to positions between two ends of a drawing."""

    low: float
    high: float
    begin: float
    end: float
    ticks: Sequence[float]
    transform: Callable[[float], float] = float

    def at(self, value: float) -> float:
        """Return the position of a value; of those outside, that of the nearer end."""
        low, high = self.transform(self.low), self.transform(self.high)
        share = (self.transform(min(max(value, self.low), self.high)) - low) / (high - low)
        return self.begin + share * (self.end - self.begin)


def linear(values: Sequence[float], begin: float, end: float, *, most_ticks: int = 5) -> Scale:
    """Return a scale from 0 to a round number at or above all values."""
    greatest = max(values, default=0.0)
    if greatest <= 0:
        return Scale(0.0, 1.0, begin, end, (0.0, 1.0))
    step = _round_step(greatest / most_ticks)
    count = math.ceil(greatest / step - 1e-9)
    return Scale(0.0, step * count, begin, end, tuple(step * n for n in range(count + 1)))


def between(low: float, high: float, begin: float, end: float, *, most_ticks: int = 5) -> Scale:
    """Return a scale from `low` to `high`, with labels at round numbers in between."""
    span = max(high - low, _LEAST_SPAN, abs(high) * 1e-9)
    step = _round_step(span / most_ticks)
    first, last = math.ceil(low / step - 1e-9), math.floor((low + span) / step + 1e-9)
    ticks = tuple(step * number for number in range(first, last + 1))
    return Scale(low, low + span, begin, end, ticks)


def logarithmic(values: Sequence[float], begin: float, end: float) -> Scale:
    """Return a logarithmic scale around values, which are above 0, with labels in 1-2-5 steps."""
    low, high = min(values), max(values)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high) + 1e-9)
    steps = [digit * 10.0**power for power in range(first, last + 1) for digit in (1, 2, 5)]
    lowest = max((step for step in steps if step <= low), default=10.0**first)
    highest = min((step for step in steps if step >= high), default=10.0**last)
    if highest <= lowest:
        highest = lowest * 10
    shown = [step for step in steps if lowest <= step <= highest]
    if len(shown) > _MOST_STEPS:
        shown = [
            10.0**power for power in range(first, last + 1) if lowest <= 10.0**power <= highest
        ]
    return Scale(lowest, highest, begin, end, tuple(shown), math.log10)


def _round_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    return power * next(step for step in _STEPS if step * power >= raw * (1 - 1e-9))


def percent_text(share: float) -> str:
    """Return a change in whole percent with its sign; 0 % has none."""
    percent = round(100 * share)
    return f"{percent:+d} %" if percent else "0 %"


def number_text(value: float) -> str:
    """Return a number with three significant digits, without an exponent."""
    if not value:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
