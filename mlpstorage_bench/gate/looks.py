"""At which looks the trials of a case can decide anything, and what each of them may spend.

Only numbers that are known before the first trial count: baseline runs, trials, looks. What the
trials show has no say, so the rate of false alarms holds. The rate is spent in parts, little at
first and most at the last look, after the spending function of O'Brien and Fleming's type of
K. K. G. Lan and D. L. DeMets, Biometrika 70 (1983) 659. The parts add up to the whole (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

from mlpstorage_bench.gate.evidence import (
    MIN_RUNS_TO_TRUST_TRIALS,
    MIN_TRIALS,
    MIN_TRIALS_TO_TRUST,
)


@dataclass(frozen=True)
class Looks:
    """The looks at one case: the one that is taken now, and those that can decide."""

    deciding: tuple[int, ...] = (1,)
    """Numbers of looks, from 1; the rate of false alarms is spent on these."""
    now: int = 1
    trials_each: int = 1
    """How many trials every look adds."""

    def share(self, rate: float, look: int | None = None) -> float:
        """Return the part of a rate that a look may spend; 0 where it can decide nothing."""
        look = self.now if look is None else look
        if look not in self.deciding:
            return 0.0
        return share_of_look(rate, self.deciding.index(look) + 1, len(self.deciding))

    @property
    def later(self) -> list[int]:
        """Looks to come that can decide."""
        return [look for look in self.deciding if look > self.now]


def plan_looks(baseline_runs: int, trials_each: int, looks: int) -> tuple[int, ...]:
    """Return which of so many looks can decide, each with so many more trials.

    With fewer than 8 baseline runs only the distance between runs is evidence, and more trials than
    it takes add nothing to it: one look has the whole rate. With 8 or more, looks from 6 trials on
    can also find that many trials agree.
    """
    enough = [look for look in range(1, looks + 1) if look * trials_each >= MIN_TRIALS]
    agreeing = [look for look in enough[1:] if look * trials_each >= MIN_TRIALS_TO_TRUST]
    if baseline_runs < MIN_RUNS_TO_TRUST_TRIALS:
        agreeing = []
    return (*enough[:1], *agreeing) or (looks,)


@dataclass(frozen=True)
class Retries:
    """How often the trials of cases may be looked at, each time with more of them."""

    looks: int = 1
    trials: Mapping[str, int] = field(default_factory=dict)
    """Trials that each look adds, of cases that more can be run of."""

    def looks_at(self, case: str, trials: int, baseline_runs: int) -> Looks:
        """Return the looks at a case, by how many trials it has had."""
        each = self.trials.get(case)
        if each is None or self.looks == 1:
            return Looks()
        now = max(1, trials // each)
        return Looks(plan_looks(baseline_runs, each, self.looks), now, each)


def share_of_look(rate: float, look: int, looks: int) -> float:
    """Return the part of the rate that the `look`th of `looks` may spend (the first is 1)."""
    if not 1 <= look <= looks:
        raise ValueError(f"look: got {look} of {looks}; accepted: 1 to the number of looks")
    before = _spent(rate, (look - 1) / looks)
    return _spent(rate, look / looks) - before


def _spent(rate: float, share: float) -> float:
    if share in (0.0, 1.0):
        return rate * share
    return math.erfc(-NormalDist().inv_cdf(rate / 2) / math.sqrt(2 * share))


def holm_levels(p_values: Sequence[float], level: float) -> list[float]:
    """Return at which level each of several questions, asked at once, is to be decided.

    The smallest p-value is compared with level / number, the next with level / (number - 1), and so
    on until one does not pass; it and all after it stay undecided at that level. S. Holm,
    Scand. J. Statist. 6 (1979) 65: no more false alarms than with one question, whatever the
    questions have to do with each other.
    """
    levels = [0.0] * len(p_values)
    allowed, passing = level, True
    for done, number in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if passing:
            allowed = level / (len(p_values) - done)
        levels[number] = allowed
        passing = passing and p_values[number] <= allowed
    return levels
