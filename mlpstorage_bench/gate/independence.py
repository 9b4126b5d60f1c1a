"""Whether values of a series behave like independent ones: serial and intraclass correlation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

STANDARD_ERRORS = 1.0
"""Distance of the upper limit of the intraclass correlation from its estimate: 84 % are below."""

Runs = Sequence[Sequence[float]]
"""Trials of each baseline run, oldest run first."""


def effective_sample_factor(baseline: Runs, trials: float) -> float:
    """Return the ratio of effective to nominal sample size for a run of `trials` trials."""
    correlation = intraclass_correlation(baseline)
    return 1.0 if correlation is None else 1 / (1 + (trials - 1) * correlation)


def intraclass_correlation(baseline: Runs) -> float | None:
    """Return the upper 84 % limit of the intraclass correlation of trials, on ranks.

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
    return min(1.0, estimate + STANDARD_ERRORS * error)


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
