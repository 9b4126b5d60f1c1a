"""Comparison of one run with its baseline: effect, confidence interval, p-values and power.

Everything is a function of the samples: no clock, no I/O, and the bootstrap has a fixed seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from mlpstorage_bench.gate.evidence import Runs, p_value_of_decrease, run_medians

MIN_EFFECT_SHARE = 0.75
"""Share of the smallest relevant effect below which a change is neither regressed nor improved.

A true loss of exactly that effect is measured slightly smaller or greater, and must still be found.
"""
BISECTIONS = 14
"""Steps of the search for the minimum detectable effect: resolves 0.01 % of the baseline."""
MAX_ADDITIONAL_TRIALS = 100
BOOTSTRAP_DRAWS = 2000
BOOTSTRAP_SEED = 20240224


@dataclass(frozen=True)
class Criterion:
    """Criterion for a metric: its direction, the smallest relevant effect, the error rate."""

    higher_is_better: bool
    smallest_effect: float
    """The smallest relevant relative change: 0.05 is 5 %."""
    false_alarm_rate: float = 0.01
    """Probability of `regressed`, and separately of `improved`, for an unchanged system."""

    def __post_init__(self) -> None:
        """Check the ranges; ValueError outside them."""
        if not 0 < self.smallest_effect < 1:
            raise ValueError(f"smallest_effect: got {self.smallest_effect}; accepted: above 0 to 1")
        if not 0 < self.false_alarm_rate < 1:
            raise ValueError(
                f"false_alarm_rate: got {self.false_alarm_rate}; accepted: above 0 to 1"
            )


@dataclass(frozen=True)
class Comparison:
    """One metric of a candidate run, its baseline runs, and the criterion."""

    baseline: Runs
    candidate: Sequence[float]
    criterion: Criterion

    def __post_init__(self) -> None:
        """Check that every run has trials, all finite; ValueError otherwise."""
        for run in (*self.baseline, self.candidate):
            if not run:
                raise ValueError("trials of a run: got none; accepted: one or more")
            if not all(map(math.isfinite, run)):
                raise ValueError(f"trials of a run: got {list(run)}; accepted: finite numbers")

    @property
    def sign(self) -> float:
        """Factor after which a higher value is better: 1 or -1."""
        return 1.0 if self.criterion.higher_is_better else -1.0

    @cached_property
    def run_medians(self) -> list[float]:
        """The median of each baseline run."""
        return run_medians(self.baseline, len(self.candidate))

    @cached_property
    def baseline_median(self) -> float:
        """The median of the baseline runs' medians; NaN without baseline runs."""
        return median(self.run_medians) if self.baseline else math.nan

    @property
    def has_effect(self) -> bool:
        """Whether a relative change is defined: the baseline's median is above zero."""
        return self.baseline_median > 0

    @cached_property
    def effect(self) -> float:
        """The relative change of the median; negative is worse."""
        return self.sign * (median(self.candidate) / self.baseline_median - 1)

    @cached_property
    def effect_interval(self) -> tuple[float, float] | None:
        """Confidence interval of the effect; None if a bootstrap quantile is not finite."""
        confidence = 1 - self.criterion.false_alarm_rate
        ratios = _bootstrap_ratio_of_medians(self.run_medians, self.candidate, confidence)
        if not all(map(math.isfinite, ratios)):
            return None
        low, high = sorted(self.sign * (ratio - 1) for ratio in ratios)
        return low, high

    @cached_property
    def p_worse(self) -> float:
        """P-value of a decrease in quality; 1 if the effect is too small to be relevant."""
        least = MIN_EFFECT_SHARE * self.criterion.smallest_effect
        if not self.has_effect or self.effect > -least:
            return 1.0
        return self.p_decrease(self.sign)

    @cached_property
    def p_better(self) -> float:
        """P-value of an increase in quality; 1 if the effect is too small to be relevant."""
        least = MIN_EFFECT_SHARE * self.criterion.smallest_effect
        if not self.has_effect or self.effect < least:
            return 1.0
        return self.p_decrease(-self.sign)

    @cached_property
    def p_non_inferior(self) -> float:
        """P-value of the non-inferiority test: the null hypothesis is a loss of `smallest_effect`.

        If that loss had occurred, the run without it would be the candidate divided by the
        remaining share, and the test asks whether an unchanged system rises so far.
        """
        remaining = 1 - self.sign * self.criterion.smallest_effect
        return self.scaled(1 / remaining).p_decrease(-self.sign)

    def scaled(self, factor: float) -> Comparison:
        """Return the comparison with all trials of the candidate multiplied by `factor`."""
        return Comparison(
            self.baseline, [value * factor for value in self.candidate], self.criterion
        )

    def with_loss(self, loss: float) -> Comparison:
        """Return the comparison with the trials scaled so that their median has this loss."""
        own = median(self.candidate)
        return self.scaled((1 - self.sign * loss) * self.baseline_median / own)

    def with_trials(self, count: int) -> Comparison:
        """Return the comparison with `count` trials, which repeat the existing ones."""
        trials = [self.candidate[number % len(self.candidate)] for number in range(count)]
        return Comparison(self.baseline, trials, self.criterion)

    def p_decrease(self, sign: float) -> float:
        """Return the p-value of a decrease of `sign` times the values, however small."""
        baseline = [[sign * value for value in run] for run in self.baseline]
        return p_value_of_decrease(baseline, [sign * value for value in self.candidate]).p_value


def minimum_detectable_effect(comparison: Comparison, level: float) -> float | None:
    """Return the smallest loss that these trials would show at a significance level.

    The trials keep their pattern and are scaled until their median has the loss. None if no loss up
    to 99.9 % is detectable (or up to nearly double, where lower is better).
    """
    if median(comparison.candidate) <= 0:
        return None

    def is_detected(loss: float) -> bool:
        return comparison.with_loss(loss).p_worse <= level

    low, high = 0.0, 0.999
    if not is_detected(high):
        return None
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_detected(middle) else (middle, high)
    return max(high, MIN_EFFECT_SHARE * comparison.criterion.smallest_effect)


def additional_trials(comparison: Comparison, level: float) -> int | None:
    """Return how many more trials like these make the smallest relevant loss detectable.

    None if no number up to `MAX_ADDITIONAL_TRIALS` does: run-to-run variation then hides it.
    """
    if median(comparison.candidate) <= 0:
        return None
    lowered = comparison.with_loss(comparison.criterion.smallest_effect)
    for more in range(1, MAX_ADDITIONAL_TRIALS + 1):
        if lowered.with_trials(len(comparison.candidate) + more).p_worse <= level:
            return more
    return None


def _bootstrap_ratio_of_medians(
    baseline: Sequence[float], candidate: Sequence[float], confidence: float
) -> tuple[float, float]:
    """Return the bootstrap percentile interval of median(candidate) / median(baseline).

    `baseline` has one median per run: runs are resampled whole, because trials within a run are
    correlated. Draws whose baseline median is zero are left out. The interval describes and does
    not decide: with three trials, it is at most their range.
    B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; A. C.
    Davison and D. V. Hinkley, Bootstrap Methods and their Application (1997), section 3.8.
    """
    import numpy as np  # noqa: PLC0415 - a slow import, needed only when a run is judged

    random = np.random.default_rng(BOOTSTRAP_SEED)
    below, above = (
        np.median(
            np.asarray(values)[random.integers(len(values), size=(BOOTSTRAP_DRAWS, len(values)))],
            axis=1,
        )
        for values in (baseline, candidate)
    )
    ratios = above[below != 0] / below[below != 0]
    tail = (1 - confidence) / 2
    low, high = np.quantile(ratios, (tail, 1 - tail))
    return float(low), float(high)
