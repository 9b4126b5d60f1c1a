"""How unlikely an unchanged system makes it that a run lies as far below its baseline as it does.

Two kinds of evidence, and the better one counts:

- The run stands apart: its median is below the lowest baseline run by a multiple of the baseline's
  range, and each of its trials by at least half as much. That compares run with run, so it needs
  nothing of the trials of one run; and a series that wanders carries its range along. Dixon's ratio
  of gap to range [1], at the level for exponential tails [2], which are heavier than the normal's.
- Many trials agree: more baseline runs than chance allows are above every trial. Nelson's
  precedence test [3], exact for any distribution. It takes trials for independent, so it counts
  only where the samples do not speak against that: successive values may not resemble each other
  (von Neumann's ratio [4]), the baseline may not end in a step down, trials of one baseline run
  count for as many as their intraclass correlation leaves of them [5], and the better baseline
  runs must stand above all trials by a multiple of how far apart they are.

Either kind alone holds the rate of false alarms, and where one comes near to it (trials of a run
all alike, with exponential tails; independent trials) the other is far from it: both together hold
it too, which is shown by simulation (docs/gate.md).

It is asked whether values have fallen; who asks whether they have risen turns the signs. Nothing
depends on the unit, and a greater loss never has a greater p.

[1] W. J. Dixon, Ann. Math. Statist. 21 (1950) 488. [2] J. Likeš, Metrika 11 (1966) 46.
[3] L. S. Nelson, Technometrics 5 (1963) 140; N. Balakrishnan and H. K. T. Ng, Precedence-Type
Tests (2006). [4] J. von Neumann, Ann. Math. Statist. 12 (1941) 367. [5] L. Kish, Survey Sampling
(1965); limits as R. A. Fisher, Statistical Methods for Research Workers (1925), has them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

MIN_RUNS = 5
"""With four runs of three trials, a series of two levels shows one, then the other, in 1 of 100."""
MIN_TRIALS = 3
"""One alone is at another level than ten runs in up to 3.5 of 100, two in 0.5, three in 0.1."""
MIN_RUNS_TO_TRUST_TRIALS = 8
MIN_TRIALS_TO_TRUST = 6
"""Fewer of either do not show that successive values resemble each other."""
BETTER_SHARE = 0.4
"""Of the baseline: those that must be close together compared to their distance from the trials."""
CLOSENESS = 0.8
"""(nearest - trials) / (farthest - trials): the gap is four times as wide as the better runs."""
LEAST_VON_NEUMANN = 0.9
"""Independent values have 2 on the average, and less in one case of a hundred at most."""
UPPER_95 = 1.645

Runs = Sequence[Sequence[float]]
"""Baseline runs, oldest first, each with its trials."""


@dataclass(frozen=True)
class Evidence:
    """The p-values of both kinds; 1 where there is none."""

    p_gap: float
    p_precedence: float

    @property
    def p_value(self) -> float:
        """The better of both."""
        return min(self.p_gap, self.p_precedence)


def p_value_of_decrease(baseline: Runs, candidate: Sequence[float]) -> Evidence:
    """Return the evidence that the candidate run is lower than the baseline."""
    if len(baseline) < MIN_RUNS or len(candidate) < MIN_TRIALS:
        return Evidence(1.0, 1.0)
    return Evidence(_stands_apart(baseline, candidate), _trials_agree(baseline, candidate))


def levels(baseline: Runs, trials: int) -> list[float]:
    """Return the median of each run, over no more trials than the run that is compared has."""
    return [median(run[:trials]) for run in baseline]


def _stands_apart(baseline: Runs, candidate: Sequence[float]) -> float:
    runs = levels(baseline, len(candidate))
    lowest = min(runs)
    gap, width = lowest - median(candidate), max(runs) - lowest
    if lowest - max(candidate) < gap / 2 or gap <= 0:
        return 1.0
    if gap > width * 1e9:
        return 0.0
    kappa = gap / width
    return math.prod(i / (i + kappa) for i in range(2, len(runs) + 1)) / (len(runs) + 1)


def _trials_agree(baseline: Runs, candidate: Sequence[float]) -> float:
    runs, highest = levels(baseline, len(candidate)), max(candidate)
    values = sorted((value for run in baseline for value in run), reverse=True)
    above = sum(value > highest for value in values)
    better = math.ceil(BETTER_SHARE * len(values))
    if (
        len(runs) < MIN_RUNS_TO_TRUST_TRIALS
        or len(candidate) < MIN_TRIALS_TO_TRUST
        or above < better
        or values[better - 1] - highest < CLOSENESS * (values[0] - highest)
        or von_neumann(runs, candidate) < LEAST_VON_NEUMANN
        or ends_lower(runs)
    ):
        return 1.0
    worth = [
        effective_sample_factor(baseline, size)
        for size in (len(values) / len(runs), len(candidate))
    ]
    return _precedence(len(values) * worth[0], above * worth[0], len(candidate) * worth[1])


def _precedence(baseline: float, above: float, candidate: float) -> float:
    """Return the chance that so many of the baseline are above all of the candidate.

    That is C(R, J) / C(R + n, J): the J highest of all values are the baseline's.
    """
    return math.exp(
        math.lgamma(baseline + 1)
        - math.lgamma(baseline - above + 1)
        - math.lgamma(baseline + candidate + 1)
        + math.lgamma(baseline + candidate - above + 1)
    )


def effective_sample_factor(baseline: Runs, trials: float) -> float:
    """Return for how many independent values one of so many trials of a run counts."""
    correlation = intraclass_correlation(baseline)
    return 1.0 if correlation is None else 1 / (1 + (trials - 1) * correlation)


def intraclass_correlation(baseline: Runs) -> float | None:
    """Return how much trials of a run are alike: its upper 95 % limit, on ranks.

    None where runs have a single trial: then nothing can be told of it.
    """
    trials = min(len(run) for run in baseline)
    if trials == 1:
        return None
    ranked = _ranks([run[:trials] for run in baseline])
    runs, means = len(ranked), [fmean(run) for run in ranked]
    center = fmean(means)
    between = trials * sum((mean - center) ** 2 for mean in means) / (runs - 1)
    within = sum(
        (value - mean) ** 2 for run, mean in zip(ranked, means, strict=True) for value in run
    ) / (runs * (trials - 1))
    if between + within == 0:
        return 0.0
    seen = max(0.0, (between - within) / (between + (trials - 1) * within))
    error = (1 - seen) * (1 + (trials - 1) * seen)
    error *= math.sqrt(2 / (trials * (trials - 1) * (runs - 1)))
    return min(1.0, seen + UPPER_95 * error)


def _ranks(baseline: Runs) -> list[list[float]]:
    values = sorted(value for run in baseline for value in run)
    places: dict[float, list[int]] = {}
    for place, value in enumerate(values):
        places.setdefault(value, []).append(place)
    return [[fmean(places[value]) for value in run] for run in baseline]


def von_neumann(*series: Sequence[float]) -> float:
    """Return the mean square of successive differences over the variance, of all series together.

    Each is taken relative to its own mean, so that a step between them does not count.
    """
    steps = squares = 0.0
    for values in series:
        mean = fmean(values)
        scale = mean * mean or 1.0
        squares += sum((value - mean) ** 2 for value in values) / scale
        steps += sum((b - a) ** 2 for a, b in pairwise(values)) / scale
    return steps / squares if squares else 2.0


def ends_lower(runs: Sequence[float]) -> bool:
    """Return whether the last few runs form a group below all others: the change came earlier."""
    top = max(runs)
    for last in range(2, int(BETTER_SHARE * len(runs)) + 1):
        end, others = max(runs[-last:]), min(runs[:-last])
        if others - end > (top - end) / 2:
            return True
    return False
