"""Control of the false-alarm rate over looks (alpha spending) and metrics (Holm).

A look is one judgement of a case's trials; a retry adds trials and looks again. Testing repeatedly
while adding trials inflates false alarms, so the error rate is spent across looks.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist


@dataclass(frozen=True)
class Looks:
    """The looks at a case: the current one, the largest possible number, and trials of each."""

    current: int = 1
    planned: int = 1
    trials_per_look: int = 0
    """0: there is one look, at all trials."""
    judged_before: tuple[int, ...] = ()
    """Trials that each look before this one judged, where some were left out; else empty."""

    def trials_at(self, look: int) -> int:
        """Return how many of the judged trials a look before the current one had."""
        return self.judged_before[look - 1] if self.judged_before else look * self.trials_per_look


@dataclass(frozen=True)
class Retries:
    """Largest number of looks, and the trials that each adds to a case."""

    looks: int = 1
    trials_per_look: Mapping[str, int] = field(default_factory=dict)
    """Trials by case; a case that cannot run more trials is absent."""

    def looks_at(self, case: str, trials: int, left_out: Collection[int] = ()) -> Looks:
        """Return the looks at a case that has had `trials` trials.

        `left_out` are the numbers of trials, from 1, that are not judged.
        """
        per_look = self.trials_per_look.get(case)
        if per_look is None or self.looks == 1:
            return Looks()
        current = max(1, trials // per_look)
        before = tuple(
            max(1, sum(number not in left_out for number in range(1, look * per_look + 1)))
            for look in range(1, current if left_out else 1)
        )
        return Looks(current, self.looks, per_look, before)

    def most_trials(self, case: str, trials: int) -> int:
        """Return how many trials a case that has had `trials` may have at the last look."""
        looks = self.looks_at(case, trials)
        return trials + (looks.planned - looks.current) * looks.trials_per_look


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
