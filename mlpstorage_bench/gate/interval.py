"""An interval for the ratio of two medians, from the samples alone.

Bootstrap percentile interval: B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap
(1993), chapter 13. Runs of the baseline are drawn whole, since their trials hang together (A. C.
Davison and D. V. Hinkley, Bootstrap Methods and their Application (1997), section 3.8), trials of
the run that is compared one by one. It describes and does not decide: of three trials it can see no
more than their range.
"""

from __future__ import annotations

from collections.abc import Sequence

DRAWS = 2000
SEED = 20240224


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
