"""Plan of looks: whether further trials can help, decided before the first from the baseline.

The gap test has the whole error rate at every look. Its rate comes near the error rate only if the
trials of a run are alike, and then every look finds the same; if they differ, its rate is far
below, at all looks together (docs/gate.md). The precedence test is exact for independent trials, so
each look adds to its alarms, and it spends the rate.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from statistics import median

from mlpstorage_bench.gate.comparison import Comparison
from mlpstorage_bench.gate.evidence import (
    MIN_RUNS_FOR_PRECEDENCE,
    MIN_TRIALS_FOR_PRECEDENCE,
    Levels,
    effective_sizes,
    precedence_p_value,
)
from mlpstorage_bench.gate.independence import Runs
from mlpstorage_bench.gate.looks import Looks, alpha_of_look


class LookPlan:
    """Looks of a metric over which the precedence test spends the error rate."""

    def __init__(self, comparison: Comparison, looks: Looks) -> None:
        self._comparison = comparison
        self._looks = looks
        self._rate = comparison.criterion.false_alarm_rate
        self.precedence = self._precedence_looks()

    def levels(self, look: int) -> Levels:
        """Return the significance levels of a look."""
        if look not in self.precedence:
            return Levels(self._rate, 0.0)
        number = self.precedence.index(look) + 1
        return Levels(self._rate, alpha_of_look(self._rate, number, len(self.precedence)))

    def trials(self, look: int) -> int:
        """Return the number of trials of a look."""
        return look * self._looks.trials_per_look or len(self._comparison.candidate)

    def can_decide_later(self, look: int) -> bool:
        """Return whether a typical run would be decided at a later look, whatever this one is.

        It would be if the smallest relevant loss of a run that is distributed as the baseline is
        found: then more trials bring an unusual run nearer to a typical one.
        """
        baseline, criterion = self._comparison.baseline, self._comparison.criterion
        for later in range(look + 1, self._looks.planned + 1):
            typical = Comparison(baseline, typical_trials(baseline, self.trials(later)), criterion)
            if median(typical.candidate) <= 0:
                continue  # it cannot be scaled to have a loss
            lowered = typical.with_loss(criterion.smallest_effect)
            if lowered.worse.ratio(self.levels(later)) <= 1:
                return True
        return False

    def _precedence_looks(self) -> tuple[int, ...]:
        """Return the looks that share the rate; one has it all if later ones need as many runs.

        Only the baseline and the planned numbers of trials are used, never the judged run.
        """
        if self._looks.planned == 1:
            return (1,)
        if len(self._comparison.baseline) < MIN_RUNS_FOR_PRECEDENCE:
            return ()
        possible = tuple(
            look
            for look in range(1, self._looks.planned + 1)
            if self.trials(look) >= MIN_TRIALS_FOR_PRECEDENCE
        )
        number = len(possible)
        if number < 2:  # noqa: PLR2004 - one look has nothing to share
            return possible
        at_once = self._runs_needed(possible[0], self._rate)
        at_last = self._runs_needed(possible[-1], alpha_of_look(self._rate, number, number))
        return possible if at_last < at_once else possible[:1]

    def _runs_needed(self, look: int, level: float) -> int:
        """Return how many baseline values have to be above all trials at a look.

        As many trials, in proportion, are in the next group: a loss moves the same share of both.
        """
        values, trials = effective_sizes(self._comparison.baseline, self.trials(look))

        def negative_p_value(above: int) -> float:
            following = max(1, above * trials // values)
            return -precedence_p_value(values, trials, above, following)

        return bisect_left(range(values), -level, key=negative_p_value)


def typical_trials(baseline: Runs, count: int) -> Sequence[float]:
    """Return `count` trials that are distributed as the baseline's values, low and high in turn."""
    values = sorted(value for run in baseline for value in run)
    ranked = [values[int((number + 0.5) * len(values) / count)] for number in range(count)]
    return [ranked[-1 - number // 2 if number % 2 else number // 2] for number in range(count)]
