"""Control of the false-alarm rate over looks (alpha spending) and metrics (Holm).

A look is one judgement of a case's trials; a retry adds trials and looks again. Testing repeatedly
while adding trials inflates false alarms, so the error rate is spent across looks. The plan of
looks depends only on numbers known before the first trial (baseline runs, trials, looks), never on
measured values, so the rate holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

from mlpstorage_bench.gate.evidence import (
    MIN_RUNS_FOR_PRECEDENCE,
    MIN_TRIALS,
    MIN_TRIALS_FOR_PRECEDENCE,
)


@dataclass(frozen=True)
class Looks:
    """The looks at one case: the current one, and those that can decide."""

    deciding: tuple[int, ...] = (1,)
    """Numbers of the looks, from 1, over which the error rate is spent."""
    current: int = 1
    trials_per_look: int = 1

    def alpha(self, rate: float, look: int | None = None) -> float:
        """Return the significance level of a look (default: the current); 0 if it cannot decide."""
        look = self.current if look is None else look
        if look not in self.deciding:
            return 0.0
        return alpha_of_look(rate, self.deciding.index(look) + 1, len(self.deciding))

    @property
    def later(self) -> list[int]:
        """Deciding looks after the current one."""
        return [look for look in self.deciding if look > self.current]


@dataclass(frozen=True)
class Retries:
    """Plan of retries: the number of looks, and the trials that each adds to a case."""

    looks: int = 1
    trials_per_look: Mapping[str, int] = field(default_factory=dict)
    """Trials by case; a case that cannot run more trials is absent."""

    def looks_at(self, case: str, trials: int, baseline_runs: int) -> Looks:
        """Return the looks at a case that has had `trials` trials."""
        per_look = self.trials_per_look.get(case)
        if per_look is None or self.looks == 1:
            return Looks()
        current = max(1, trials // per_look)
        return Looks(plan_looks(baseline_runs, per_look, self.looks), current, per_look)


def plan_looks(baseline_runs: int, trials_per_look: int, looks: int) -> tuple[int, ...]:
    """Return the numbers of the looks that can decide, out of `looks`.

    With fewer than 8 baseline runs only the gap test applies, and trials beyond its minimum do not
    change its power: one look has the whole rate. With 8 or more runs, the precedence test applies
    at looks with 6 or more trials.
    """
    gap = [look for look in range(1, looks + 1) if look * trials_per_look >= MIN_TRIALS]
    precedence = [look for look in gap[1:] if look * trials_per_look >= MIN_TRIALS_FOR_PRECEDENCE]
    if baseline_runs < MIN_RUNS_FOR_PRECEDENCE:
        precedence = []
    return (*gap[:1], *precedence) or (looks,)


def alpha_of_look(rate: float, look: int, looks: int) -> float:
    """Return the part of the error rate that look number `look` of `looks` spends, from 1.

    Spending function of the O'Brien-Fleming type: little at first, most at the last look.
    K. K. G. Lan and D. L. DeMets, Biometrika 70 (1983) 659. The parts add up to the rate, which
    therefore holds for any dependence between looks (Bonferroni) and any number of trials.
    """
    if not 1 <= look <= looks:
        raise ValueError(f"look: got {look} of {looks}; accepted: 1 to the number of looks")
    return _alpha_spent(rate, look / looks) - _alpha_spent(rate, (look - 1) / looks)


def _alpha_spent(rate: float, share: float) -> float:
    """Return the part of the rate that is spent when a share of all looks is done."""
    if share in (0.0, 1.0):
        return rate * share
    return math.erfc(-NormalDist().inv_cdf(rate / 2) / math.sqrt(2 * share))


def holm_levels(p_values: Sequence[float], level: float) -> list[float]:
    """Return the significance level of each of several tests by Holm's procedure.

    The smallest p-value is compared with level / number, the next with level / (number - 1), and so
    on up to the first that exceeds its level; all later ones keep that level. The family-wise error
    rate is that of one test, for any dependence. S. Holm, Scand. J. Statist. 6 (1979) 65.
    """
    levels = [0.0] * len(p_values)
    allowed, passing = level, True
    for done, number in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if passing:
            allowed = level / (len(p_values) - done)
        levels[number] = allowed
        passing = passing and p_values[number] <= allowed
    return levels
