"""Rules that decide whether a run got worse: the gate's, and those of other tools."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import comb

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.gate_series import Windows
from mlpstorage_bench.gate.decision import Comparison, Criterion, Verdict, decide

Verdicts = NDArray[np.str_]
"""One verdict per window."""

CRITERION = Criterion(higher_is_better=True, smallest_effect=0.05)
ASV_P = 0.002


def gate(windows: Windows) -> Verdicts:
    """The gate's rule, with a smallest relevant effect of 5 % and a false-alarm rate of 1 %."""
    return np.array(
        [
            decide(Comparison([[run] for run in baseline], candidate, CRITERION)).value
            for baseline, candidate in zip(
                windows.baseline.tolist(), windows.candidate.tolist(), strict=True
            )
        ]
    )


def mean_worse_than_last(share: float) -> Callable[[Windows], Verdicts]:
    """Rule of pytest-benchmark, --benchmark-compare-fail=mean:share, against the last run."""

    def rule(windows: Windows) -> Verdicts:
        return _verdicts(windows.candidate.mean(axis=1) < windows.baseline[:, -1] * (1 - share))

    return rule


def three_sigma(windows: Windows) -> Verdicts:
    """Rule: the mean is three standard deviations below the baseline's mean."""
    limit = windows.baseline.mean(axis=1) - 3 * windows.baseline.std(axis=1, ddof=1)
    return _verdicts(windows.candidate.mean(axis=1) < limit)


def mann_whitney(windows: Windows) -> Verdicts:
    """Rule of asv: two-sided exact test, p < 0.002, which too few trials cannot reach.

    (asv then compares the intervals of the medians, which is omitted here.)
    """
    baseline, candidate = windows.baseline[:, :, None], windows.candidate[:, None, :]
    wins = (candidate > baseline).sum(axis=(1, 2)) + 0.5 * (candidate == baseline).sum(axis=(1, 2))
    cumulative = _cumulative_probability_of_u(windows.baseline.shape[1], windows.candidate.shape[1])
    p_values = np.minimum(1.0, 2 * cumulative[np.ceil(wins).astype(int)])
    return _verdicts(p_values < ASV_P)


RULES: dict[str, Callable[[Windows], Verdicts]] = {
    "gate": gate,
    "mean:5%": mean_worse_than_last(0.05),
    "mean:10%": mean_worse_than_last(0.10),
    "mean-3sigma": three_sigma,
    "mann-whitney": mann_whitney,
}


def _verdicts(worse: NDArray[np.bool_]) -> Verdicts:
    return np.where(worse, Verdict.REGRESSED.value, Verdict.PASSED.value)


@cache
def _cumulative_probability_of_u(m: int, n: int) -> NDArray[np.float64]:
    """Return P(U <= u) for each u, if both samples have the same distribution.

    Recursion of H. B. Mann and D. R. Whitney, Ann. Math. Statist. 18 (1947) 50.
    """

    @cache
    def ways(m: int, n: int, u: int) -> int:
        if u < 0 or u > m * n:
            return 0
        if m == 0 or n == 0:
            return 1
        return ways(m - 1, n, u - n) + ways(m, n - 1, u)

    return np.cumsum([ways(m, n, u) for u in range(m * n + 1)]) / comb(m + n, m)
