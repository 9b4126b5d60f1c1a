"""P-values for the hypothesis that a run is lower than its baseline.

Two tests, of which the smaller p-value counts:

- Gap test: the run's median is below the lowest baseline run by a multiple of the baseline's range,
  and each of its trials by at least half that gap. It compares runs with runs, so it assumes
  nothing about the trials within a run, and a series that drifts has a wide range of its own.
  Statistic: Dixon's ratio of gap to range [1], with the p-value for exponential tails [2], which
  are heavier than normal ones.
- Precedence test: more baseline values than chance allows are above every trial. Nelson's
  test [3], exact for any distribution. It assumes independent trials, so it counts only if the
  samples are consistent with that: no serial correlation (von Neumann's ratio [4]), no step down
  at the end of the baseline, trials weighted by their intraclass correlation [5], and the highest
  baseline values above all trials by a multiple of their own spread.

Each test alone keeps the false-alarm rate. Where one comes near it (identical trials within runs
and exponential tails; independent trials), the other is far below it, so both together keep it too,
as simulations show (docs/gate.md).

The functions test for a decrease; to test for an increase, pass negated values. Results do not
depend on the unit, and a greater loss never has a greater p-value.

[1] W. J. Dixon, Ann. Math. Statist. 21 (1950) 488. [2] J. Likeš, Metrika 11 (1966) 46.
[3] L. S. Nelson, Technometrics 5 (1963) 140; N. Balakrishnan and H. K. T. Ng, Precedence-Type
Tests (2006). [4] J. von Neumann, Ann. Math. Statist. 12 (1941) 367. [5] L. Kish, Survey Sampling
(1965); confidence limits: R. A. Fisher, Statistical Methods for Research Workers (1925).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

MIN_RUNS = 5
"""With four runs of three trials, a two-level series raises a false alarm in 1 of 100 runs."""
MIN_TRIALS = 3
"""With fewer, all trials of an unchanged two-level system differ from ten runs too often.

That happens in up to 3.5 % of cases with one trial, 0.5 % with two and 0.1 % with three.
"""
MIN_RUNS_FOR_PRECEDENCE = 8
MIN_TRIALS_FOR_PRECEDENCE = 6
"""With fewer runs or trials, von Neumann's ratio does not detect serial correlation."""
TOP_SHARE = 0.4
"""Share of the baseline's values, from the highest, whose spread is compared with the gap."""
TOP_CLOSENESS = 0.8
"""Least (lowest top value - trials) / (highest - trials): the gap is 4 times the top's spread."""
MIN_VON_NEUMANN_RATIO = 0.9
"""Independent values have 2 on average, and less than this in at most 1 of 100 series."""
Z_95 = 1.645
"""Standard normal quantile of a one-sided 95 % limit."""

Runs = Sequence[Sequence[float]]
"""Trials of each baseline run, oldest run first."""


@dataclass(frozen=True)
class Evidence:
    """P-values of both tests; 1 if a test does not apply."""

    p_gap: float
    p_precedence: float

    @property
    def p_value(self) -> float:
        """The smaller p-value."""
        return min(self.p_gap, self.p_precedence)


def p_value_of_decrease(baseline: Runs, candidate: Sequence[float]) -> Evidence:
    """Test whether the candidate's trials are lower than the baseline's."""
    if len(baseline) < MIN_RUNS or len(candidate) < MIN_TRIALS:
        return Evidence(1.0, 1.0)
    return Evidence(_gap_test(baseline, candidate), _precedence_test(baseline, candidate))


def run_medians(baseline: Runs, trials: int) -> list[float]:
    """Return each run's median over its first `trials` trials, as many as the candidate has."""
    return [median(run[:trials]) for run in baseline]


def _gap_test(baseline: Runs, candidate: Sequence[float]) -> float:
    medians = run_medians(baseline, len(candidate))
    lowest = min(medians)
    gap, width = lowest - median(candidate), max(medians) - lowest
    if lowest - max(candidate) < gap / 2 or gap <= 0:
        return 1.0
    if gap > width * 1e9:
        return 0.0
    kappa = gap / width
    return math.prod(i / (i + kappa) for i in range(2, len(medians) + 1)) / (len(medians) + 1)


def _precedence_test(baseline: Runs, candidate: Sequence[float]) -> float:
    medians, highest_trial = run_medians(baseline, len(candidate)), max(candidate)
    values = sorted((value for run in baseline for value in run), reverse=True)
    above = sum(value > highest_trial for value in values)
    top = math.ceil(TOP_SHARE * len(values))
    if (
        len(medians) < MIN_RUNS_FOR_PRECEDENCE
        or len(candidate) < MIN_TRIALS_FOR_PRECEDENCE
        or above < top
        or values[top - 1] - highest_trial < TOP_CLOSENESS * (values[0] - highest_trial)
        or von_neumann_ratio(medians, candidate) < MIN_VON_NEUMANN_RATIO
        or ends_with_step_down(medians)
    ):
        return 1.0
    of_baseline = effective_sample_factor(baseline, len(values) / len(medians))
    of_candidate = effective_sample_factor(baseline, len(candidate))
    return _precedence_p_value(
        len(values) * of_baseline, above * of_baseline, len(candidate) * of_candidate
    )


def _precedence_p_value(baseline: float, above: float, candidate: float) -> float:
    """Return the probability that `above` baseline values exceed all candidate values.

    It is C(R, J) / C(R + n, J): the J highest of all values belong to the baseline. Numbers are
    effective sample sizes, so they need not be whole.
    """
    return math.exp(
        math.lgamma(baseline + 1)
        - math.lgamma(baseline - above + 1)
        - math.lgamma(baseline + candidate + 1)
        + math.lgamma(baseline + candidate - above + 1)
    )


def effective_sample_factor(baseline: Runs, trials: float) -> float:
    """Return the ratio of effective to nominal sample size for a run of `trials` trials."""
    correlation = intraclass_correlation(baseline)
    return 1.0 if correlation is None else 1 / (1 + (trials - 1) * correlation)


def intraclass_correlation(baseline: Runs) -> float | None:
    """Return the upper 95 % limit of the intraclass correlation of trials, on ranks.

    None if a run has a single trial.
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
    estimate = max(0.0, (between - within) / (between + (trials - 1) * within))
    error = (1 - estimate) * (1 + (trials - 1) * estimate)
    error *= math.sqrt(2 / (trials * (trials - 1) * (runs - 1)))
    return min(1.0, estimate + Z_95 * error)


def _ranks(baseline: Runs) -> list[list[float]]:
    values = sorted(value for run in baseline for value in run)
    positions: dict[float, list[int]] = {}
    for position, value in enumerate(values):
        positions.setdefault(value, []).append(position)
    return [[fmean(positions[value]) for value in run] for run in baseline]


def von_neumann_ratio(*series: Sequence[float]) -> float:
    """Return the mean square of successive differences over the variance, for all series together.

    Each series is divided by its own mean, so a step between two series does not count.
    """
    steps = squares = 0.0
    for values in series:
        mean = fmean(values)
        scale = mean * mean or 1.0
        squares += sum((value - mean) ** 2 for value in values) / scale
        steps += sum((b - a) ** 2 for a, b in pairwise(values)) / scale
    return steps / squares if squares else 2.0


def ends_with_step_down(medians: Sequence[float]) -> bool:
    """Return whether the last runs are a group below all earlier ones: the change is older."""
    highest = max(medians)
    for last in range(2, int(TOP_SHARE * len(medians)) + 1):
        end, others = max(medians[-last:]), min(medians[:-last])
        if others - end > (highest - end) / 2:
            return True
    return False
