"""The next step of a run's owner after a verdict of the gate, in words."""

from __future__ import annotations

from collections.abc import Sequence

from mlpstorage_bench.gate.evidence import MIN_RUNS, MIN_TRIALS
from mlpstorage_bench.gate.metric_verdict import MetricVerdict
from mlpstorage_bench.gate.wording import percent, shows_smallest_effect
from mlpstorage_bench.units import counted

AGAIN = "run it again: a loss in both runs is no chance"
LIMIT_MISSED = (
    "find out what keeps this storage from the limit. Where it does not have to meet it, change "
    "the limit (--mlps-gate-rule, or gate: in the profile)"
)
NEW_BASELINE = (
    "find out whether the difference is a mistake. If the system or the workload was changed on "
    "purpose, run once without the gate's options: that run starts a new baseline"
)
FALSE_ALARM = "a false alarm: use more trials (--mlps-trials) or a rule with a larger change"
CORRECT_RULES = "correct the rules that judge nothing, or run the cases that they are for"
_AFTER_DISTURBANCE = (
    "if it comes back, end what disturbed the run, or run at another time. This run is in no "
    "baseline, and the next one is judged again"
)
_MORE_TRIALS = (
    f"use --mlps-trials={MIN_TRIALS} or more, or --mlps-gate-undecided=retry, which adds trials: "
    "a case with fewer is never compared"
)
_FIXED_TRIALS = (
    "mode closed fixes the number of trials: compare runs of mode open, or set limits "
    "(--mlps-gate-rule), which need no earlier run"
)
_END_DISTURBANCE = (
    "end what disturbs the runs. If it now belongs to the system, start a new baseline with a tag "
    "of its own (--mlps-tag=NAME --mlps-baseline=tag:NAME)"
)


def for_regressed(regressed: Sequence[MetricVerdict]) -> str:
    """Return the step after a loss, which chance may have made, or after missed limits alone."""
    return LIMIT_MISSED if all(one.misses_limit for one in regressed) else AGAIN


def for_disturbed(*, is_repeated: bool) -> str:
    """Return the step after a disturbed run; `is_repeated` if the one before was disturbed, too."""
    return _END_DISTURBANCE if is_repeated else _AFTER_DISTURBANCE


def for_collecting(collecting: Sequence[MetricVerdict], *, is_fixed: bool = False) -> str:
    """Return the step while baseline runs are collected.

    `is_fixed` if nobody can change the number of trials, as below.
    """
    if any(one.has_too_few_trials for one in collecting):
        return _FIXED_TRIALS if is_fixed else _MORE_TRIALS
    missing = max(MIN_RUNS - len(one.baseline_runs) - one.is_added for one in collecting)
    if missing:
        return f"run it again: after {counted(missing, 'more run')}, every run is compared"
    return "run it again: the next run is the first that is compared"


def for_undecided(undecided: Sequence[MetricVerdict], *, is_fixed: bool = False) -> str:
    """Return the step that decides most: more baseline runs, more trials, or another rule."""
    lost = next((one for one in undecided if one.value is None), None)
    if lost is not None:
        return f"find out why {lost.case} has no {lost.metric} any more"
    if any(len(one.baseline_runs) < MIN_RUNS for one in undecided):
        return f"compare with {MIN_RUNS} runs or more (--mlps-baseline=last)"
    needed = [
        (one.trials + one.judgement.more_trials, one)
        for one in undecided
        if one.judgement is not None
        and one.judgement.more_trials
        and not shows_smallest_effect(one.judgement, one.rule)
    ]
    if needed:
        trials, one = max(needed, key=lambda pair: pair[0])
        loss = percent(one.rule.smallest_effect or 0.0)
        more = f"use --mlps-trials={trials}: that many show a loss of {loss} % of {one.metric}"
        return _FIXED_TRIALS if is_fixed else more
    if any(one.trials < MIN_TRIALS for one in undecided):
        return _FIXED_TRIALS if is_fixed else _MORE_TRIALS
    judged = [(one.judgement, one.rule) for one in undecided]
    if all(j is not None and shows_smallest_effect(j, rule) for j, rule in judged):
        return "run it again: this run is between a loss and none"
    return (
        "no number of trials can decide this: this storage varies too much from run to run. Set "
        "limits, or change rules to greater losses or off (--mlps-gate-rule 'METRIC: off')"
    )
