"""Judgement of a metric: the verdict, with the effect, its interval, the power, and the reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from mlpstorage_bench.gate.comparison import (
    MAX_ADDITIONAL_TRIALS,
    Comparison,
    additional_trials,
    minimum_detectable_effect,
)
from mlpstorage_bench.gate.evidence import MIN_RUNS, MIN_TRIALS, Levels
from mlpstorage_bench.units import counted


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
    """Change of the median, or of the highest values if these decided; None if none is defined."""
    interval: tuple[float, float] | None
    """Bootstrap confidence interval of the median's change: descriptive, not used for the verdict.

    None if the highest values decided.
    """
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
    best_ratio: float | None = None
    """Best trial over the best baseline runs, or worst over worst, if these decided."""
    may_be_decided_later: bool = False
    """Whether a later look decides an undecided metric, if further trials resemble these."""


CHANGES = (Verdict.REGRESSED, Verdict.IMPROVED)


def judgement_of(
    comparison: Comparison, verdict: Verdict, levels: Levels, *, may_be_decided_later: bool
) -> Judgement:
    """Return the grounds of a verdict; `levels` are those of a decrease in quality.

    For an increase, the levels of both tests are in the same proportion.
    """
    if not comparison.has_effect:
        return _without_effect(comparison, verdict)
    medians, center = comparison.run_medians, comparison.baseline_median
    evidence = comparison.worse if comparison.effect < 0 else comparison.better
    top_effect = None
    if verdict in CHANGES:
        evidence = comparison.worse if verdict is Verdict.REGRESSED else comparison.better
        if evidence.is_by_precedence(levels):
            top_effect = comparison.top_effect(evidence)
    detectable = minimum_detectable_effect(comparison, levels)
    is_undecided = verdict is Verdict.UNDECIDED
    needed = additional_trials(comparison, levels) if is_undecided else None
    return Judgement(
        verdict=verdict,
        effect=comparison.effect if top_effect is None else top_effect,
        interval=comparison.effect_interval if top_effect is None else None,
        baseline_median=center,
        baseline_spread=(max(medians) - min(medians)) / 2 / center,
        candidate_median=median(comparison.candidate),
        p_value=evidence.p_value,
        detectable_effect=detectable,
        more_trials=needed,
        reason=_reason(comparison, verdict, top_effect, detectable, needed),
        best_ratio=None if top_effect is None else 1 + comparison.sign * top_effect,
        may_be_decided_later=may_be_decided_later,
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
        reason=_reason_of_no_effect(comparison),
    )


def _reason(
    comparison: Comparison,
    verdict: Verdict,
    top_effect: float | None,
    detectable: float | None,
    needed: int | None,
) -> str:
    match verdict:
        case Verdict.REGRESSED | Verdict.IMPROVED:
            return _reason_of_change(comparison, top_effect)
        case Verdict.PASSED:
            return f"{_smallest_loss(comparison)} would have been detected"
    return _reason_of_undecided(comparison, detectable, needed)


def _reason_of_change(comparison: Comparison, top_effect: float | None) -> str:
    effect = comparison.effect if top_effect is None else top_effect
    way = "worse" if effect < 0 else "better"
    if top_effect is None:
        return f"{abs(effect):.1%} {way} than the baseline, beyond its variation"
    side, trials = "best" if effect < 0 else "worst", len(comparison.candidate)
    return f"all {trials} trials are {way} than the {side} baseline runs, by {abs(effect):.1%}"


def _reason_of_no_effect(comparison: Comparison) -> str:
    if not comparison.baseline:
        return "no baseline run has this metric: choose another baseline"
    return "the baseline's median is zero or less, so there is no relative change: set a limit"


def _reason_of_undecided(
    comparison: Comparison, detectable: float | None, needed: int | None
) -> str:
    if len(comparison.baseline) < MIN_RUNS:
        runs = counted(len(comparison.baseline), "baseline run")
        return f"only {runs}; run-to-run variation needs at least {MIN_RUNS}"
    if len(comparison.candidate) < MIN_TRIALS:
        return too_few_trials(len(comparison.candidate))
    shown = (
        "no loss is detectable with these samples"
        if detectable is None
        else f"the smallest detectable loss is {detectable:.1%}"
    )
    trials = (
        f"even {MAX_ADDITIONAL_TRIALS} more trials would not make"
        if needed is None
        else f"{counted(needed, 'more trial')} would make"
    )
    return f"{shown}; {trials} {_smallest_loss(comparison)} detectable"


def _smallest_loss(comparison: Comparison) -> str:
    smallest = f"{comparison.criterion.smallest_effect:.3g}".rstrip(".")
    return f"a loss of {float(smallest):.1%}"


def too_few_trials(count: int) -> str:
    """Return why so few trials are not compared."""
    return f"only {counted(count, 'trial')}; a decision needs at least {MIN_TRIALS}"
