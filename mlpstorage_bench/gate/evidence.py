"""P-values for the hypothesis that a run is lower than its baseline.

Two tests, of which the smaller p-value counts:

- Gap test: the run's median is below the lowest baseline run by a multiple of the baseline's range,
  and each of its trials by at least half that gap. It compares runs with runs, so it assumes
  nothing about the trials within a run, and a series that drifts has a wide range of its own.
  Statistic: Dixon's ratio of gap to range [1], with the p-value for exponential tails [2], which
  are heavier than normal ones. A value above 0 can fall by its own size at most, which is no large
  multiple of a wide range: such values are compared by their logarithms, too, with a p-value times
  `LOG_PENALTY`. A loss of all, whose logarithm is infinite, counts as one by `MOST_RATIO`.
- Precedence test: in the order of all values, the first are baseline values, and the next are
  trials. Both groups together are larger than chance allows: a precedence test [3] with a second
  group, exact for any distribution of independent values. It counts only if the samples are
  consistent with independent trials: no serial correlation (von Neumann's ratio [4]), trials
  weighted by their intraclass correlation [5], the highest baseline values apart from all trials
  by a multiple of their own spread, and no trials that are all at one level of earlier runs.

Each test alone keeps the false-alarm rate. Where one comes near it (identical trials within runs
and exponential tails; independent trials), the other is far below it, so both together keep it too,
as simulations show (docs/gate.md).

The functions test for a decrease; to test for an increase, pass negated values. Results do not
depend on the unit. The gap test's p-value never rises with the loss. The precedence test's may rise
where a greater loss moves the trials among the lower baseline values.

[1] W. J. Dixon, Ann. Math. Statist. 21 (1950) 488. [2] J. Likeš, Metrika 11 (1966) 46.
[3] L. S. Nelson, Technometrics 5 (1963) 140; N. Balakrishnan and H. K. T. Ng, Precedence-Type
Tests (2006). [4] J. von Neumann, Ann. Math. Statist. 12 (1941) 367. [5] L. Kish, Survey Sampling
(1965); confidence limits: R. A. Fisher, Statistical Methods for Research Workers (1925).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median

from mlpstorage_bench.gate.independence import Runs, effective_sample_factor, von_neumann_ratio

MIN_RUNS = 5
"""With four runs of three trials, a two-level series raises a false alarm in 1 of 100 runs."""
MIN_TRIALS = 3
"""With fewer, all trials of an unchanged two-level system differ from ten runs too often.

That happens in up to 3.5 % of cases with one trial, 0.5 % with two and 0.1 % with three.
"""
MIN_RUNS_FOR_PRECEDENCE = 8
MIN_TRIALS_FOR_PRECEDENCE = 5
"""With fewer runs or trials, von Neumann's ratio does not detect serial correlation."""
TOP_SHARE = 0.4
"""Share of the baseline's values, from the highest, whose spread is compared with the gap."""
TOP_CLOSENESS = 0.8
"""Least (lowest top value - trials) / (highest - trials): the gap is 4 times the top's spread."""
LOG_PENALTY = 4.0
"""Factor of the gap test's p-value by logarithms, which stretch the lower tail of values that vary
by half: with it, series with an exponential tail below raise as many false alarms as they may."""
MOST_RATIO = 1000.0
"""Greatest ratio of two values that logarithms tell: a value of 0 is so far below any other."""
LEVEL_WIDTH = 1 / 8
"""Greatest range of trials at one level, as a share of the gap to the highest baseline values."""
MIN_VON_NEUMANN_RATIO = 0.9
"""Independent values have 2 on average, and less than this in at most 1 of 100 series."""
ROUNDING = 1e-9
"""Difference of two shares that is taken for zero."""


@dataclass(frozen=True)
class Levels:
    """Significance level of each test; 0 if it is not used."""

    gap: float
    precedence: float

    def scaled(self, share: float) -> Levels:
        """Return both levels multiplied by a share."""
        return Levels(self.gap * share, self.precedence * share)


@dataclass(frozen=True)
class Evidence:
    """P-values of both tests; 1 if a test does not apply."""

    p_gap: float
    p_precedence: float
    top_ratio: float | None = None
    """The highest trial over the lowest of the highest baseline values, if all are above it."""

    @property
    def p_value(self) -> float:
        """The smaller p-value."""
        return min(self.p_gap, self.p_precedence)

    def ratio(self, levels: Levels) -> float:
        """Return the least ratio of a p-value to its level: the evidence suffices up to 1."""
        return min(self._ratios(levels))

    def is_by_precedence(self, levels: Levels) -> bool:
        """Return whether the precedence test is the stronger one, by each test's level."""
        of_gap, of_precedence = self._ratios(levels)
        return of_precedence < of_gap

    def _ratios(self, levels: Levels) -> tuple[float, float]:
        return (
            self.p_gap / levels.gap if levels.gap else math.inf,
            self.p_precedence / levels.precedence if levels.precedence else math.inf,
        )


NO_EVIDENCE = Evidence(1.0, 1.0)


def p_value_of_decrease(baseline: Runs, candidate: Sequence[float]) -> Evidence:
    """Test whether the candidate's trials are lower than the baseline's."""
    if len(baseline) < MIN_RUNS or len(candidate) < MIN_TRIALS:
        return NO_EVIDENCE
    p_precedence, top_ratio = _precedence_test(baseline, candidate)
    return Evidence(_gap_test(baseline, candidate), p_precedence, top_ratio)


def run_medians(baseline: Runs, trials: int) -> list[float]:
    """Return each run's median over its first `trials` trials, as many as the candidate has."""
    return [median(run[:trials]) for run in baseline]


def _gap_test(baseline: Runs, candidate: Sequence[float]) -> float:
    medians = run_medians(baseline, len(candidate))
    lowest, highest = min(medians), max(medians)
    own, nearest = median(candidate), max(candidate)
    if own >= lowest:
        return 1.0
    p_value = _gap_p_value(lowest - own, lowest - nearest, highest - lowest, len(medians))
    if lowest <= 0:
        return p_value
    gap, least = _log_gap(lowest, own), _log_gap(lowest, nearest)
    by_log = _gap_p_value(gap, least, math.log(highest / lowest), len(medians))
    return min(p_value, LOG_PENALTY * by_log)


def _log_gap(lowest: float, value: float) -> float:
    """Return how far a value is below a positive one, as a logarithm of their ratio."""
    return -math.log(max(value / lowest, 1 / MOST_RATIO))


def _gap_p_value(gap: float, least: float, width: float, runs: int) -> float:
    """Return the probability of a gap as large below the range of so many runs.

    `least` is the gap of the nearest trial: 1 if that is less than half of the median's.
    """
    if least < gap / 2:
        return 1.0
    if gap > width * 1e9:
        return 0.0
    kappa = gap / width
    return math.prod(i / (i + kappa) for i in range(2, runs + 1)) / (runs + 1)


def _precedence_test(baseline: Runs, candidate: Sequence[float]) -> tuple[float, float | None]:
    """Return the p-value, and the ratio of the highest trial to the top of the baseline."""
    if (
        len(baseline) < MIN_RUNS_FOR_PRECEDENCE
        or len(candidate) < MIN_TRIALS_FOR_PRECEDENCE
        or not (top := _top_above(baseline, candidate))
        or is_at_earlier_level(baseline, candidate, top)
        or von_neumann_ratio(run_medians(baseline, len(candidate)), candidate)
        < MIN_VON_NEUMANN_RATIO
    ):
        return 1.0, None
    values, highest_trial = [value for run in baseline for value in run], max(candidate)
    others = [value for value in values if value <= highest_trial]
    above, next_value = len(values) - len(others), max(others, default=-math.inf)
    following = sum(value > next_value for value in candidate)
    runs, trials = effective_sizes(baseline, len(candidate))
    p_value = precedence_p_value(
        runs,
        trials,
        math.floor(above * runs / len(values)),
        max(1, math.floor(following * trials / len(candidate))),
    )
    return p_value, highest_trial / top[-1] if top[-1] else None


def effective_sizes(baseline: Runs, trials: int) -> tuple[int, int]:
    """Return the numbers of independent values of a baseline and of a run with `trials` trials."""
    values = sum(map(len, baseline))
    of_baseline = values * effective_sample_factor(baseline, values / len(baseline))
    of_run = trials * effective_sample_factor(baseline, trials)
    return round(of_baseline), max(1, round(of_run))


def _top_above(baseline: Runs, candidate: Sequence[float]) -> list[float]:
    """Return the highest baseline values, descending; none if they are not apart from trials."""
    values = sorted((value for run in baseline for value in run), reverse=True)
    highest_trial = max(candidate)
    top = values[: math.ceil(TOP_SHARE * len(values))]
    is_apart = top[-1] > highest_trial and top[-1] - highest_trial >= TOP_CLOSENESS * (
        top[0] - highest_trial
    )
    return top if is_apart else []


def is_at_earlier_level(baseline: Runs, candidate: Sequence[float], top: Sequence[float]) -> bool:
    """Return whether all trials are at one level, and a baseline value is there, too.

    A system with levels was there before without a change. Trials that differ as runs do have no
    level, and a baseline value among them means nothing.
    """
    lowest, highest = min(candidate), max(candidate)
    width = LEVEL_WIDTH * (top[-1] - highest)
    return highest - lowest <= width and any(
        lowest - width <= value <= highest for run in baseline for value in run
    )


@cache
def precedence_p_value(baseline: int, candidate: int, above: int, following: int) -> float:
    """Return the probability of groups as large, if all orders of the values are equally likely.

    The first `above` values in descending order belong to the baseline, and the next `following`
    to the candidate. Larger groups are those of more values together; of as many, those with more
    equal shares of the baseline and of the candidate, as a loss moves the same share of both. A
    group of the baseline has at least `TOP_SHARE` of it. Numbers are effective sample sizes.
    """
    total, log_orders = above + following, _log_binomial(baseline + candidate, baseline)

    def probability(rest_of_all: int, rest_of_baseline: int) -> float:
        return math.exp(_log_binomial(rest_of_all, rest_of_baseline) - log_orders)

    def inequality(first: int) -> float:
        return abs(first / baseline - (total - first) / candidate)

    p_value = 0.0
    for first in range(math.ceil(TOP_SHARE * baseline), baseline + 1):
        more = max(1, total + 1 - first)
        if more <= candidate:
            p_value += probability(baseline + candidate - first - more, baseline - first)
        is_as_large = 1 <= total - first <= candidate and (
            inequality(first) <= inequality(above) + ROUNDING
        )
        if is_as_large and first < baseline:
            p_value += probability(baseline + candidate - total - 1, baseline - first - 1)
        elif is_as_large and total == baseline + candidate:
            p_value += probability(0, 0)
    return p_value


def _log_binomial(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
