"""Whether a run has regressed: the verdict on a metric, and what its samples could have shown.

docs/gate.md tells how and why. All is a function of the samples: no clock, no I/O, and the dice of
the bootstrap start from the same seed every time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from mlpstorage_bench.gate.comparison import (
    Comparison,
    Question,
    detectable_effect,
    more_trials,
    ratio_of_medians,
)
from mlpstorage_bench.gate.evidence import MIN_RUNS, MIN_TRIALS, Runs
from mlpstorage_bench.gate.looks import Looks, holm_levels

__all__ = ["Comparison", "Judgement", "Question", "Verdict", "decide", "judge", "judge_all"]


class Verdict(StrEnum):
    """What the samples say of a metric."""

    PASSED = "passed"
    """A loss of the smallest effect that matters would have been seen."""
    REGRESSED = "regressed"
    IMPROVED = "improved"
    UNDECIDED = "undecided"
    """Neither a change nor its absence could be shown."""
    COLLECTING = "collecting"
    """Too few baseline runs yet; later runs join them."""


@dataclass(frozen=True)
class Judgement:
    """A verdict with what it rests on. Effects are relative changes; negative is worse."""

    verdict: Verdict
    effect: float | None
    """Of the median; None where no relative change can be told."""
    interval: tuple[float, float] | None
    """Of the effect, by bootstrap: a description, which does not decide."""
    baseline_median: float | None
    """Of the runs' medians, in the metric's unit; None without a baseline."""
    baseline_spread: float | None
    """Half the range of the runs' medians, as a share of their median."""
    candidate_median: float
    p_value: float
    """Of the change in the direction that was seen, before looks and other metrics count."""
    detectable_effect: float | None
    """The smallest loss that these samples could have shown; None where they could show none."""
    more_trials: int | None
    """How many more would show the smallest effect that matters; None when decided, or none."""
    reason: str
    is_to_repeat: bool = False
    """Undecided, and a later look would decide it if trials went on as they were."""


def judge(
    baseline: Runs, candidate: Sequence[float], question: Question, *, look: int = 1, looks: int = 1
) -> Judgement:
    """Judge one metric of a run, at a look (from 1 on) of at most so many.

    `baseline` has the trials of each run, oldest first; `candidate` those of the run in question,
    in the order in which they were taken.
    """
    return judge_all([Comparison(baseline, candidate, question)], look=look, looks=looks)[0]


def judge_all(
    comparisons: Sequence[Comparison], *, look: int = 1, looks: int = 1
) -> list[Judgement]:
    """Judge metrics that decide together, all of them at a look (from 1 on) of so many."""
    return judge_at([(comparison, _equal_looks(look, looks)) for comparison in comparisons])


def judge_at(asked: Sequence[tuple[Comparison, Looks]]) -> list[Judgement]:
    """Judge metrics that decide together: their number adds no false alarms (Holm)."""
    comparisons = [comparison for comparison, _ in asked]
    rates = [looks.share(comparison.question.false_alarm_rate) for comparison, looks in asked]
    both = []
    for p_values in ([c.p_worse for c in comparisons], [c.p_better for c in comparisons]):
        parts = [p / rate if rate else math.inf for p, rate in zip(p_values, rates, strict=True)]
        shares = holm_levels(parts, 1.0)
        both.append([rate * share for rate, share in zip(rates, shares, strict=True)])
    return [
        _judgement(comparison, _Levels(worse, better, rate), looks)
        for (comparison, looks), worse, better, rate in zip(asked, *both, rates, strict=True)
    ]


def decide(comparison: Comparison, *, look: int = 1, looks: int = 1) -> Verdict:
    """Return the verdict alone, which takes a hundredth of the time of all that explains it."""
    rate = _equal_looks(look, looks).share(comparison.question.false_alarm_rate)
    return _verdict(comparison, _Levels(rate, rate, rate))


def _equal_looks(look: int, looks: int) -> Looks:
    return Looks(tuple(range(1, looks + 1)), look)


def _later_look_decides(comparison: Comparison, looks: Looks) -> bool:
    """Whether a look to come would decide, if trials went on as they were.

    To stop without that spends nothing, and so adds no false alarm. What one look at the whole rate
    would call goes on, as the last look has nearly the whole rate.
    """
    for look in looks.later:
        rate = looks.share(comparison.question.false_alarm_rate, look)
        extended = comparison.with_trials(look * looks.trials_each)
        if _verdict(extended, _Levels(rate, rate, rate)) is not Verdict.UNDECIDED:
            return True
    return False


@dataclass(frozen=True)
class _Levels:
    """What p-values must not exceed."""

    worse: float
    better: float
    passed: float
    """Not shared between metrics: a wrong "passed" is no false alarm."""


def _verdict(comparison: Comparison, levels: _Levels) -> Verdict:
    if not comparison.is_relative:
        return Verdict.UNDECIDED
    if comparison.p_worse <= levels.worse:
        return Verdict.REGRESSED
    if comparison.p_better <= levels.better:
        return Verdict.IMPROVED
    if comparison.p_if_worse <= levels.passed:
        return Verdict.PASSED
    return Verdict.UNDECIDED


def _judgement(comparison: Comparison, levels: _Levels, looks: Looks) -> Judgement:
    verdict = _verdict(comparison, levels)
    own = median(comparison.candidate)
    if not comparison.is_relative:
        return Judgement(
            verdict=verdict,
            effect=None,
            interval=None,
            baseline_median=comparison.baseline_median if comparison.baseline else None,
            baseline_spread=None,
            candidate_median=own,
            p_value=1.0,
            detectable_effect=None,
            more_trials=None,
            reason="no relative change can be told from "
            + ("a baseline of zero or less" if comparison.baseline else "no baseline runs"),
        )
    runs, center = comparison.run_levels, comparison.baseline_median
    detectable = detectable_effect(comparison, levels.worse)
    needed = more_trials(comparison, levels.worse) if verdict is Verdict.UNDECIDED else None
    return Judgement(
        verdict=verdict,
        effect=comparison.effect,
        interval=_interval(comparison),
        baseline_median=center,
        baseline_spread=(max(runs) - min(runs)) / 2 / center,
        candidate_median=own,
        p_value=comparison.p_worse if comparison.effect < 0 else comparison.p_better,
        detectable_effect=detectable,
        more_trials=needed,
        reason=_reason(comparison, verdict, detectable, needed),
        is_to_repeat=verdict is Verdict.UNDECIDED and _later_look_decides(comparison, looks),
    )


def _interval(comparison: Comparison) -> tuple[float, float] | None:
    confidence = 1 - comparison.question.false_alarm_rate
    ratios = ratio_of_medians(comparison.run_levels, comparison.candidate, confidence)
    if not all(map(math.isfinite, ratios)):
        return None
    low, high = sorted(comparison.sign * (ratio - 1) for ratio in ratios)
    return low, high


def _reason(
    comparison: Comparison, verdict: Verdict, detectable: float | None, needed: int | None
) -> str:
    smallest = f"{comparison.question.smallest_effect:.3g}".rstrip(".")
    wanted = f"a loss of {float(smallest):.1%}"
    match verdict:
        case Verdict.REGRESSED:
            return f"{-comparison.effect:.1%} worse, further than the baseline's spread explains"
        case Verdict.IMPROVED:
            return f"{comparison.effect:.1%} better, further than the baseline's spread explains"
        case Verdict.PASSED:
            return f"{wanted} would have been seen"
    if len(comparison.baseline) < MIN_RUNS:
        return f"{len(comparison.baseline)} baseline runs: how far runs differ takes {MIN_RUNS}"
    if len(comparison.candidate) < MIN_TRIALS:
        return f"{len(comparison.candidate)} trials: what one says takes {MIN_TRIALS} that agree"
    shown = (
        "no loss could have been shown"
        if detectable is None
        else f"a loss could have been shown from {detectable:.1%} on"
    )
    after = "no number of trials shows" if needed is None else f"{needed} more trials would show"
    return f"{shown}; {after} {wanted}"
