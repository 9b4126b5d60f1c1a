"""Rules that say whether a run got worse: ours, and those that others use."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import comb

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.gate_series import Windows
from mlpstorage_bench.gate.decision import Comparison, Question, Verdict, decide

Verdicts = NDArray[np.str_]
"""One for each window."""

QUESTION = Question(higher_is_better=True, smallest_effect=0.05)
ASV_P = 0.002


def ours(windows: Windows) -> Verdicts:
    """The gate's own, with a smallest effect of 5 % and 1 % of false alarms."""
    return np.array(
        [
            decide(Comparison([[run] for run in baseline], candidate, QUESTION)).value
            for baseline, candidate in zip(
                windows.baseline.tolist(), windows.candidate.tolist(), strict=True
            )
        ]
    )


def mean_worse_than_last(share: float) -> Callable[[Windows], Verdicts]:
    """pytest-benchmark's --benchmark-compare-fail=mean:share, against the last run."""

    def rule(windows: Windows) -> Verdicts:
        return _verdicts(windows.candidate.mean(axis=1) < windows.baseline[:, -1] * (1 - share))

    return rule


def three_sigma(windows: Windows) -> Verdicts:
    """A mean below the baseline's by three standard deviations."""
    limit = windows.baseline.mean(axis=1) - 3 * windows.baseline.std(axis=1, ddof=1)
    return _verdicts(windows.candidate.mean(axis=1) < limit)


def mann_whitney(windows: Windows) -> Verdicts:
    """asv's: two-sided, exact, p < 0.002; where trials are too few to reach that it cannot alarm.

    (asv then looks at whether intervals of the medians overlap, which is left out here.)
    """
    baseline, candidate = windows.baseline[:, :, None], windows.candidate[:, None, :]
    wins = (candidate > baseline).sum(axis=(1, 2)) + 0.5 * (candidate == baseline).sum(axis=(1, 2))
    chances = _chances_of_u(windows.baseline.shape[1], windows.candidate.shape[1])
    p_values = np.minimum(1.0, 2 * chances[np.ceil(wins).astype(int)])
    return _verdicts(p_values < ASV_P)


RULES: dict[str, Callable[[Windows], Verdicts]] = {
    "gate": ours,
    "mean:5%": mean_worse_than_last(0.05),
    "mean:10%": mean_worse_than_last(0.10),
    "mean-3sigma": three_sigma,
    "mann-whitney": mann_whitney,
}


def _verdicts(worse: NDArray[np.bool_]) -> Verdicts:
    return np.where(worse, Verdict.REGRESSED.value, Verdict.PASSED.value)


@cache
def _chances_of_u(m: int, n: int) -> NDArray[np.float64]:
    """Return the chance of U or less, for each U, when both samples are of one population.

    By the recursion of H. B. Mann and D. R. Whitney, Ann. Math. Statist. 18 (1947) 50.
    """

    @cache
    def ways(m: int, n: int, u: int) -> int:
        if u < 0 or u > m * n:
            return 0
        if m == 0 or n == 0:
            return 1
        return ways(m - 1, n, u - n) + ways(m, n - 1, u)

    return np.cumsum([ways(m, n, u) for u in range(m * n + 1)]) / comb(m + n, m)
