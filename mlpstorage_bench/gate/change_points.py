"""Runs with which a figure changed for good, by Pettitt's test: ranks, and no distribution.

For each split of n values, U = 2 Σ ranks before the split - t (n + 1) is 0 on average if all values
come from one distribution. With K = max |U|, p ≈ 2 exp(-6 K² / (n³ + n²)). The approximation is
too large for few values, so that a change is rather missed than invented; 16 values are the least
with which p can fall below 1 %. Both parts of a series with a change are searched again.

It is for looking back. The gate judges a new run, by other means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

LEAST_RUNS = 16
"""Values with which a change can be found."""
SIGNIFICANCE = 0.01
_LEAST_SIDE = 3
"""Values on each side of a change."""


def change_points(values: Sequence[float]) -> list[int]:
    """Return the positions of the values with which a change begins, in order."""
    split = _split(values)
    if split is None:
        return []
    later = (split + at for at in change_points(values[split:]))
    return [*change_points(values[:split]), split, *later]


def _split(values: Sequence[float]) -> int | None:
    """Return the position of the most significant change; None if there is none."""
    count = len(values)
    if count < LEAST_RUNS:
        return None
    ranks = _ranks(values)
    total, best, split = 0.0, 0.0, 0
    for at in range(1, count):
        total += ranks[at - 1]
        statistic = abs(2 * total - at * (count + 1))
        if statistic > best and _LEAST_SIDE <= at <= count - _LEAST_SIDE:
            best, split = statistic, at
    p_value = 2 * math.exp(-6 * best**2 / (count**3 + count**2))
    return split if p_value < SIGNIFICANCE else None


def _ranks(values: Sequence[float]) -> list[float]:
    """Return ranks from 1; equal values have their mean rank."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    begin = 0
    while begin < len(order):
        end = begin
        while end < len(order) and values[order[end]] == values[order[begin]]:
            end += 1
        for position in range(begin, end):
            ranks[order[position]] = (begin + 1 + end) / 2
        begin = end
    return ranks
