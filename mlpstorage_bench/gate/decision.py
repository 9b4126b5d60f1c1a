"""Verdict on a metric, with the effect, its interval and the power of the samples.

docs/gate.md explains the method. Everything is a function of the samples (see `comparison`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from mlpstorage_bench.gate.comparison import (
    MAX_ADDITIONAL_TRIALS,
    Comparison,
    Criterion,
    additional_trials,
    minimum_detectable_effect,
)
from mlpstorage_bench.gate.evidence import MIN_RUNS, MIN_TRIALS, Runs
from mlpstorage_bench.gate.looks import Looks, holm_levels

__all__ = ["Comparison", "Criterion", "Judgement", "Verdict", "decide", "judge", "judge_all"]


class Verdict(StrEnum):
    """Verdict on a metric."""

    PASSED = "passed"
    """A loss of the smallest relevant effect would have been detected."""
    REGRESSED = "regressed"
    IMPROVED = "improved"
    UNDECIDED = "undecided"
    """The samples show neither a change nor its absence."""
    COLLECTING = "collecting"
    """Fewer baseline runs than a decision needs; later runs are added to them."""
    DISTURBED = "disturbed"
    """Something else than the storage changed the run, and may explain a loss."""


@dataclass(frozen=True)
class Judgement:
    """A verdict and its grounds. Effects are relative changes; negative is worse."""

    verdict: Verdict
    effect: float | None
    """Change of the median; None if no relative change is defined."""
    interval: tuple[float, float] | None
    """Bootstrap confidence interval of the effect: descriptive, not used for the verdict."""
    baseline_median: float | None
    """Median of the runs' medians, in the metric's unit; None without a baseline."""
    baseline_spread: float | None
    """Half the range of the runs' medians, as a share of their median."""
    candidate_median: float
    p_value: float
    """P-value of the observed direction, before correction for looks and metrics."""
    detectable_effect: float | None
    """The minimum detectable loss; None if these samples can show no loss."""
    more_trials: int | None
    """Additional trials that make the smallest relevant loss detectable; None if decided."""
    reason: str
    may_be_decided_later: bool = False
    """Whether a later look decides an undecided metric, if further trials resemble these."""


def judge(
    baseline: Runs,
    candidate: Sequence[float],
    criterion: Criterion,
    *,
    look: int = 1,
    looks: int = 1,
) -> Judgement:
    """Judge one metric of a run at look number `look` (from 1) of at most `looks`.

    `baseline` has the trials of each run, oldest run first; `candidate` the trials of the judged
    run in order of time.
    """
    return judge_all([Comparison(baseline, candidate, criterion)], look=look, looks=looks)[0]


def judge_all(
    comparisons: Sequence[Comparison], *, look: int = 1, looks: int = 1
) -> list[Judgement]:
    """Judge a family of metrics, all at the same look (from 1)."""
    return judge_at([(comparison, _equal_looks(look, looks)) for comparison in comparisons])


def judge_at(family: Sequence[tuple[Comparison, Looks]]) -> list[Judgement]:
    """Judge a family of metrics, each at its look, with Holm's correction for their number."""
    comparisons = [comparison for comparison, _ in family]
    rates = [looks.alpha(comparison.criterion.false_alarm_rate) for comparison, looks in family]
    both = []
    for p_values in ([c.p_worse for c in comparisons], [c.p_better for c in comparisons]):
        ratios = [p / rate if rate else math.inf for p, rate in zip(p_values, rates, strict=True)]
        shares = holm_levels(ratios, 1.0)
        both.append([rate * share for rate, share in zip(rates, shares, strict=True)])
    return [
        _judgement(comparison, _SignificanceLevels(worse, better, rate), looks)
        for (comparison, looks), worse, better, rate in zip(family, *both, rates, strict=True)
    ]


def decide(comparison: Comparison, *, look: int = 1, looks: int = 1) -> Verdict:
    """Return the verdict without interval and power: a hundredth of the time of `judge`."""
    rate = _equal_looks(look, looks).alpha(comparison.criterion.false_alarm_rate)
    return _verdict(comparison, _SignificanceLevels(rate, rate, rate))


def _equal_looks(look: int, looks: int) -> Looks:
    return Looks(tuple(range(1, looks + 1)), look)


def _later_look_decides(comparison: Comparison, looks: Looks) -> bool:
    """Return whether a later look decides, if further trials resemble these.

    To stop otherwise spends nothing, so it adds no false alarm. A loss that one look at the whole
    rate would show is continued to the last look, which has nearly the whole rate.
    """
    for look in looks.later:
        rate = looks.alpha(comparison.criterion.false_alarm_rate, look)
        extended = comparison.with_trials(look * looks.trials_per_look)
        levels = _SignificanceLevels(rate, rate, rate)
        if _verdict(extended, levels) is not Verdict.UNDECIDED:
            return True
    return False


@dataclass(frozen=True)
class _SignificanceLevels:
    """Upper limits of the p-values."""

    worse: float
    better: float
    non_inferior: float
    """Not corrected for the number of metrics: a wrong "passed" is no false alarm."""


def _verdict(comparison: Comparison, levels: _SignificanceLevels) -> Verdict:
    if not comparison.has_effect:
        return Verdict.UNDECIDED
    if comparison.p_worse <= levels.worse:
        return Verdict.REGRESSED
    if comparison.p_better <= levels.better:
        return Verdict.IMPROVED
    if comparison.p_non_inferior <= levels.non_inferior:
        return Verdict.PASSED
    return Verdict.UNDECIDED


def _judgement(comparison: Comparison, levels: _SignificanceLevels, looks: Looks) -> Judgement:
    verdict = _verdict(comparison, levels)
    if not comparison.has_effect:
        return _without_effect(comparison, verdict)
    medians, center = comparison.run_medians, comparison.baseline_median
    is_undecided = verdict is Verdict.UNDECIDED
    detectable = minimum_detectable_effect(comparison, levels.worse)
    needed = additional_trials(comparison, levels.worse) if is_undecided else None
    return Judgement(
        verdict=verdict,
        effect=comparison.effect,
        interval=comparison.effect_interval,
        baseline_median=center,
        baseline_spread=(max(medians) - min(medians)) / 2 / center,
        candidate_median=median(comparison.candidate),
        p_value=comparison.p_worse if comparison.effect < 0 else comparison.p_better,
        detectable_effect=detectable,
        more_trials=needed,
        reason=_reason(comparison, verdict, detectable, needed),
        may_be_decided_later=is_undecided and _later_look_decides(comparison, looks),
    )


def _without_effect(comparison: Comparison, verdict: Verdict) -> Judgement:
    return Judgement(
        verdict=verdict,
        effect=None,
        interval=None,
        baseline_median=comparison.baseline_median if comparison.baseline else None,
        baseline_spread=None,
        candidate_median=median(comparison.candidate),
        p_value=1.0,
        detectable_effect=None,
        more_trials=None,
        reason="the baseline's median is zero or less, so there is no relative change: set a limit"
        if comparison.baseline
        else "no baseline run has this metric: choose another baseline",
    )


def _reason(
    comparison: Comparison, verdict: Verdict, detectable: float | None, needed: int | None
) -> str:
    smallest = f"{comparison.criterion.smallest_effect:.3g}".rstrip(".")
    loss = f"a loss of {float(smallest):.1%}"
    match verdict:
        case Verdict.REGRESSED:
            return f"{-comparison.effect:.1%} worse than the baseline, beyond its variation"
        case Verdict.IMPROVED:
            return f"{comparison.effect:.1%} better than the baseline, beyond its variation"
        case Verdict.PASSED:
            return f"{loss} would have been detected"
    if len(comparison.baseline) < MIN_RUNS:
        runs = _counted(len(comparison.baseline), "baseline run")
        return f"only {runs}; run-to-run variation needs at least {MIN_RUNS}"
    if len(comparison.candidate) < MIN_TRIALS:
        trials = _counted(len(comparison.candidate), "trial")
        return f"only {trials}; a decision needs at least {MIN_TRIALS}: raise --mlps-trials"
    shown = (
        "no loss is detectable with these samples"
        if detectable is None
        else f"the smallest detectable loss is {detectable:.1%}"
    )
    trials = (
        f"even {MAX_ADDITIONAL_TRIALS} more trials would not make"
        if needed is None
        else f"{_counted(needed, 'more trial')} would make"
    )
    return f"{shown}; {trials} {loss} detectable"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
