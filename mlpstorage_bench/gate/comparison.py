"""One run beside its baseline: the effect, and the evidence in each direction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from mlpstorage_bench.gate.evidence import Runs, levels, p_value_of_decrease

CALLED_FROM = 0.75
"""Of the smallest effect that matters: less is never called regressed or improved.

A loss of exactly that effect is measured a little smaller or greater, and is to be found all the
same.
"""
STEPS = 14
"""Halvings of the interval in which the effect is looked for: to 0.01 % of the baseline."""
MOST_TRIALS = 100
"""More are not asked for."""
DRAWS = 2000
SEED = 20240224


@dataclass(frozen=True)
class Question:
    """What is asked of a metric."""

    higher_is_better: bool
    smallest_effect: float
    """The smallest relative change that matters: 0.05 is 5 %."""
    false_alarm_rate: float = 0.01
    """How often a run of an unchanged system may be called regressed; as often, improved."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if not 0 < self.smallest_effect < 1:
            raise ValueError(f"smallest_effect: got {self.smallest_effect}; accepted: above 0 to 1")
        if not 0 < self.false_alarm_rate < 1:
            raise ValueError(
                f"false_alarm_rate: got {self.false_alarm_rate}; accepted: above 0 to 1"
            )


@dataclass(frozen=True)
class Comparison:
    """A candidate run and its baseline, with the question about them."""

    baseline: Runs
    candidate: Sequence[float]
    question: Question

    def __post_init__(self) -> None:
        """Refuse runs without trials, and values that are no numbers."""
        for run in (*self.baseline, self.candidate):
            if not run:
                raise ValueError("trials of a run: got none; accepted: one or more")
            if not all(map(math.isfinite, run)):
                raise ValueError(f"trials of a run: got {list(run)}; accepted: finite numbers")

    @property
    def sign(self) -> float:
        """What turns values so that higher is better."""
        return 1.0 if self.question.higher_is_better else -1.0

    @cached_property
    def run_levels(self) -> list[float]:
        """The median of each baseline run."""
        return levels(self.baseline, len(self.candidate))

    @cached_property
    def baseline_median(self) -> float:
        """The median of the baseline runs' medians; NaN without any."""
        return median(self.run_levels) if self.baseline else math.nan

    @property
    def is_relative(self) -> bool:
        """Whether a relative change can be told: nothing is a share of zero or less."""
        return self.baseline_median > 0

    @cached_property
    def effect(self) -> float:
        """The relative change of the median; negative is worse."""
        return self.sign * (median(self.candidate) / self.baseline_median - 1)

    @cached_property
    def p_worse(self) -> float:
        """The evidence that the run is worse by an effect worth calling."""
        if not self.is_relative or self.effect > -CALLED_FROM * self.question.smallest_effect:
            return 1.0
        return self.p_of_fall(self.sign)

    @cached_property
    def p_better(self) -> float:
        """The evidence that the run is better by an effect worth calling."""
        if not self.is_relative or self.effect < CALLED_FROM * self.question.smallest_effect:
            return 1.0
        return self.p_of_fall(-self.sign)

    @cached_property
    def p_if_worse(self) -> float:
        """The evidence against a loss of the smallest effect that matters.

        Had there been one, the run without it would be the candidate divided by it, and an
        unchanged system does not rise so far above its baseline.
        """
        loss = 1 - self.sign * self.question.smallest_effect
        return self.scaled(1 / loss).p_of_fall(-self.sign)

    def scaled(self, factor: float) -> Comparison:
        """Return the comparison with all trials of the candidate times `factor`."""
        return Comparison(
            self.baseline, [value * factor for value in self.candidate], self.question
        )

    def with_loss(self, loss: float) -> Comparison:
        """Return the comparison as it would be had the run's median this loss and no other."""
        own = median(self.candidate)
        return self.scaled((1 - self.sign * loss) * self.baseline_median / own)

    def with_trials(self, count: int) -> Comparison:
        """Return the comparison with so many trials, which repeat those there are."""
        trials = [self.candidate[number % len(self.candidate)] for number in range(count)]
        return Comparison(self.baseline, trials, self.question)

    def p_of_fall(self, sign: float) -> float:
        """Return the evidence that values times `sign` have fallen, however little."""
        baseline = [[sign * value for value in run] for run in self.baseline]
        return p_value_of_decrease(baseline, [sign * value for value in self.candidate]).p_value


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


def ratio_of_medians(
    baseline: Sequence[float], candidate: Sequence[float], confidence: float
) -> tuple[float, float]:
    """Return the interval for median(candidate) / median(baseline); the same for the same samples.

    `baseline` has one median per run. Draws in which the baseline's median is zero are left out.
    """
    import numpy as np  # noqa: PLC0415 - takes longer to import than all the rest: for runs that are judged

    dice = np.random.default_rng(SEED)
    below, above = (
        np.median(np.asarray(values)[dice.integers(len(values), size=(DRAWS, len(values)))], axis=1)
        for values in (baseline, candidate)
    )
    ratios = above[below != 0] / below[below != 0]
    tail = (1 - confidence) / 2
    low, high = np.quantile(ratios, (tail, 1 - tail))
    return float(low), float(high)
