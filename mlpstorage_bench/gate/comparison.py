"""Comparison of one run with its baseline: effect, confidence interval, p-values and power.

Everything is a function of the samples: no clock, no I/O, and the bootstrap has a fixed seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median

from mlpstorage_bench.gate.evidence import Evidence, Levels, p_value_of_decrease, run_medians
from mlpstorage_bench.gate.independence import Runs

MIN_EFFECT_SHARE = 0.75
"""Share of the smallest relevant effect below which a change is neither regressed nor improved.

A true loss of exactly that effect is measured slightly smaller or greater, and must still be found.
"""
MOST_LOSS = 0.999
LOSS_STEP = 0.05
BISECTIONS = 10
"""Steps of the search within one loss step: resolves 0.01 % of the baseline."""
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
    def worse(self) -> Evidence:
        """Evidence of a decrease in quality that is large enough to be relevant."""
        return self._relevant(self.of_decrease, self.of_increase, direction=-1)

    @cached_property
    def better(self) -> Evidence:
        """Evidence of an increase in quality that is large enough to be relevant."""
        return self._relevant(self.of_increase, self.of_decrease, direction=1)

    @cached_property
    def non_inferior(self) -> Evidence:
        """Evidence of the non-inferiority test: the null hypothesis is a loss of `smallest_effect`.

        If that loss had occurred, the run without it would be the candidate divided by the
        remaining share, and the test asks whether an unchanged system rises so far.
        """
        remaining = 1 - self.sign * self.criterion.smallest_effect
        return self.scaled(1 / remaining).of_increase

    def top_effect(self, evidence: Evidence) -> float | None:
        """Return the change from the highest (or lowest) baseline values to the trials.

        None if they were not compared, or the change is not relevant.
        """
        change = 0.0 if evidence.top_ratio is None else self.sign * (evidence.top_ratio - 1)
        return change if abs(change) >= self._least_effect else None

    @property
    def _least_effect(self) -> float:
        return MIN_EFFECT_SHARE * self.criterion.smallest_effect

    def _relevant(self, evidence: Evidence, opposite: Evidence, direction: int) -> Evidence:
        """Set the p-value of a test to 1 if the change that it found is too small.

        The gap test compares medians. For the precedence test, the change of the highest values
        suffices: where it is needed, half of the values may be anywhere below, and medians say
        little. If the lowest values changed the opposite way, the median decides which counts.
        """
        has_median = self.has_effect and direction * self.effect >= self._least_effect
        has_top = (
            self.has_effect
            and self.top_effect(evidence) is not None
            and (opposite.top_ratio is None or direction * self.effect > 0)
        )
        return replace(
            evidence,
            p_gap=evidence.p_gap if has_median else 1.0,
            p_precedence=evidence.p_precedence if has_median or has_top else 1.0,
        )

    def scaled(self, factor: float) -> Comparison:
        """Return the comparison with all trials of the candidate multiplied by `factor`."""
        return Comparison(
            self.baseline, [value * factor for value in self.candidate], self.criterion
        )

    def with_loss(self, loss: float) -> Comparison:
        """Return the comparison with the trials scaled so that their median has this loss."""
        own = median(self.candidate)
        return self.scaled((1 - self.sign * loss) * self.baseline_median / own)

    def first_trials(self, count: int) -> Comparison:
        """Return the comparison with the first `count` trials of the candidate."""
        return Comparison(self.baseline, self.candidate[:count], self.criterion)

    def with_trials(self, count: int) -> Comparison:
        """Return the comparison with `count` trials, which repeat the existing ones."""
        trials = [self.candidate[number % len(self.candidate)] for number in range(count)]
        return Comparison(self.baseline, trials, self.criterion)

    @cached_property
    def of_decrease(self) -> Evidence:
        """Evidence of a decrease in quality, however small."""
        return self._of_change(self.sign)

    @cached_property
    def of_increase(self) -> Evidence:
        """Evidence of an increase in quality, however small."""
        return self._of_change(-self.sign)

    def _of_change(self, sign: float) -> Evidence:
        baseline = [[sign * value for value in run] for run in self.baseline]
        return p_value_of_decrease(baseline, [sign * value for value in self.candidate])


def minimum_detectable_effect(comparison: Comparison, levels: Levels) -> float | None:
    """Return the smallest loss from which on these trials would show every loss.

    The trials keep their pattern and are scaled until their median has the loss. None if no loss up
    to 99.9 % is detectable (or up to nearly double, where lower is better).
    """
    if median(comparison.candidate) <= 0:
        return None

    def is_detected(loss: float) -> bool:
        return comparison.with_loss(loss).worse.ratio(levels) <= 1

    low = high = MOST_LOSS
    while low > 0 and is_detected(low):
        low, high = max(0.0, low - LOSS_STEP), low
    if low == high:
        return None
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_detected(middle) else (middle, high)
    return max(high, MIN_EFFECT_SHARE * comparison.criterion.smallest_effect)


def additional_trials(comparison: Comparison, levels: Levels) -> int | None:
    """Return how many more trials like these make the smallest relevant loss detectable.

    None if no number up to `MAX_ADDITIONAL_TRIALS` does: run-to-run variation then hides it.
    """
    if median(comparison.candidate) <= 0:
        return None
    lowered = comparison.with_loss(comparison.criterion.smallest_effect)
    for more in range(1, MAX_ADDITIONAL_TRIALS + 1):
        if lowered.with_trials(len(comparison.candidate) + more).worse.ratio(levels) <= 1:
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
