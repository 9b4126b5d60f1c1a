"""Decision about the metrics of a run, over looks and metrics, with controlled error rates.

docs/gate.md explains the method. Everything is a function of the samples (see `comparison`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlpstorage_bench.gate.comparison import Comparison, Criterion
from mlpstorage_bench.gate.evidence import MIN_RUNS, MIN_TRIALS, Levels
from mlpstorage_bench.gate.independence import Runs
from mlpstorage_bench.gate.judgement import CHANGES, Judgement, Verdict, judgement_of
from mlpstorage_bench.gate.looks import Looks, holm_levels
from mlpstorage_bench.gate.plan import LookPlan

__all__ = [
    "Comparison",
    "Criterion",
    "Judgement",
    "Verdict",
    "decide",
    "judge",
    "judge_all",
    "may_be_decided_later",
]


def judge(
    baseline: Runs, candidate: Sequence[float], criterion: Criterion, looks: Looks | None = None
) -> Judgement:
    """Judge one metric of a run.

    `baseline` has the trials of each run, oldest run first; `candidate` the trials of the judged
    run in order of time.
    """
    return judge_at([(Comparison(baseline, candidate, criterion), looks or Looks())])[0]


def judge_all(comparisons: Sequence[Comparison]) -> list[Judgement]:
    """Judge a family of metrics at the only look."""
    return judge_at([(comparison, Looks()) for comparison in comparisons])


def judge_at(family: Sequence[tuple[Comparison, Looks]]) -> list[Judgement]:
    """Judge a family of metrics, each at its look, with Holm's correction for their number.

    A change that an earlier look has shown stands: its part of the error rate is spent.
    """
    plans = [LookPlan(comparison, looks) for comparison, looks in family]
    states = _states_at(family, plans, look=1)
    for look in range(2, max((looks.current for _, looks in family), default=1) + 1):
        later = _states_at(family, plans, look)
        states = [
            earlier if earlier.verdict in CHANGES else now
            for earlier, now in zip(states, later, strict=True)
        ]
    return [
        judgement_of(
            state.comparison,
            state.verdict,
            state.levels.worse,
            may_be_decided_later=may_be_decided_later(state.comparison, looks, state.verdict),
        )
        for state, (_, looks) in zip(states, family, strict=True)
    ]


def decide(comparison: Comparison, looks: Looks | None = None) -> Verdict:
    """Return the verdict without interval and power: a hundredth of the time of `judge`."""
    looks = looks or Looks()
    plan, verdict = LookPlan(comparison, looks), Verdict.UNDECIDED
    for look in range(1, looks.current + 1):
        verdict = _states_at([(comparison, looks)], [plan], look)[0].verdict
        if verdict in CHANGES:
            break
    return verdict


@dataclass(frozen=True)
class _State:
    """A metric at one look."""

    comparison: Comparison
    """With the trials that it had at this look."""
    levels: _SignificanceLevels
    verdict: Verdict


def _states_at(
    family: Sequence[tuple[Comparison, Looks]], plans: Sequence[LookPlan], look: int
) -> list[_State]:
    """Return each metric at a look, or at its current one if that was earlier."""
    comparisons, levels = [], []
    for (comparison, looks), plan in zip(family, plans, strict=True):
        own = min(look, looks.current)
        is_current = own == looks.current
        comparisons.append(
            comparison if is_current else comparison.first_trials(looks.trials_at(own))
        )
        levels.append(plan.levels(own))
    both = []
    for evidence in ([c.worse for c in comparisons], [c.better for c in comparisons]):
        ratios = [one.ratio(level) for one, level in zip(evidence, levels, strict=True)]
        both.append(holm_levels(ratios, 1.0))
    states = []
    for comparison, level, worse, better in zip(comparisons, levels, *both, strict=True):
        limits = _SignificanceLevels(level.scaled(worse), level.scaled(better), level)
        states.append(_State(comparison, limits, _verdict(comparison, limits)))
    return states


def may_be_decided_later(comparison: Comparison, looks: Looks, verdict: Verdict) -> bool:
    """Return whether further trials may decide a metric that has a verdict at a look.

    They may if there were too few trials for a comparison and a later look has enough, if a typical
    run would be decided, if a later look decides when further trials resemble these, or if a single
    look with the whole error rate had decided. To stop otherwise spends nothing, so it adds no
    false alarm.
    """
    is_open = verdict is Verdict.UNDECIDED and looks.current < looks.planned
    if not (is_open and comparison.has_effect):
        return False
    plan = LookPlan(comparison, looks)
    is_not_compared = len(comparison.candidate) < MIN_TRIALS <= plan.trials(looks.planned)
    return (
        (is_not_compared and len(comparison.baseline) >= MIN_RUNS)
        or decide(comparison) is not Verdict.UNDECIDED
        or any(
            _verdict(comparison.with_trials(plan.trials(look)), _uncorrected(plan.levels(look)))
            is not Verdict.UNDECIDED
            for look in range(looks.current + 1, looks.planned + 1)
        )
        or plan.can_decide_later(looks.current)
    )


@dataclass(frozen=True)
class _SignificanceLevels:
    """Upper limits of the p-values of each kind of evidence."""

    worse: Levels
    better: Levels
    non_inferior: Levels
    """Not corrected for the number of metrics: a wrong "passed" is no false alarm."""


def _uncorrected(levels: Levels) -> _SignificanceLevels:
    return _SignificanceLevels(levels, levels, levels)


def _verdict(comparison: Comparison, levels: _SignificanceLevels) -> Verdict:
    if not comparison.has_effect:
        return Verdict.UNDECIDED
    if comparison.worse.ratio(levels.worse) <= 1:
        return Verdict.REGRESSED
    if comparison.better.ratio(levels.better) <= 1:
        return Verdict.IMPROVED
    if comparison.non_inferior.ratio(levels.non_inferior) <= 1:
        return Verdict.PASSED
    return Verdict.UNDECIDED
