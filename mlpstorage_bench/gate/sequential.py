"""Looking more than once without more false alarms: a rate that is spent over the looks.

Whoever adds trials until something is found finds something. The rate of false alarms is therefore
spent in parts, little at first and most at the last look, after the spending function of
O'Brien and Fleming's type of K. K. G. Lan and D. L. DeMets, Biometrika 70 (1983) 659. The parts add
up to the whole, so the rate holds whatever the looks have to do with each other (Bonferroni), at
any number of trials between them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist


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
