"""What samples could have shown, and how many more trials it would take."""

from __future__ import annotations

from statistics import median

from mlpstorage_bench.gate.comparison import CALLED_FROM, Comparison

STEPS = 14
"""Halvings of the interval in which the effect is looked for: to 0.01 % of the baseline."""
MOST_TRIALS = 100
"""More are not asked for."""


def detectable_effect(comparison: Comparison, level: float) -> float | None:
    """Return the smallest loss that would be called, had the run's trials its median alone changed.

    The trials keep their pattern, and are moved so that their median has the loss. None when no
    loss up to all of it (or up to double, where lower is better) would be called.
    """
    if median(comparison.candidate) <= 0:
        return None

    def is_shown(loss: float) -> bool:
        return comparison.with_loss(loss).p_worse <= level

    low, high = 0.0, 0.999
    if not is_shown(high):
        return None
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_shown(middle) else (middle, high)
    return max(high, CALLED_FROM * comparison.question.smallest_effect)


def more_trials(comparison: Comparison, level: float) -> int | None:
    """Return how many more trials like these would show a loss of the smallest effect that matters.

    None when no number up to `MOST_TRIALS` would: then it is the spread between runs that hides it.
    """
    if median(comparison.candidate) <= 0:
        return None
    wanted = comparison.with_loss(comparison.question.smallest_effect)
    for more in range(1, MOST_TRIALS + 1):
        if wanted.with_trials(len(comparison.candidate) + more).p_worse <= level:
            return more
    return None
