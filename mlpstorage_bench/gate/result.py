"""Result of the gate on a whole run: which verdicts fail the session, and what to do next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mlpstorage_bench.gate.decision import Verdict
from mlpstorage_bench.gate.disturbances import CaseDisturbance
from mlpstorage_bench.gate.evidence import MIN_RUNS
from mlpstorage_bench.gate.verdicts import MetricVerdict
from mlpstorage_bench.gate.wording import (
    change_in_words,
    listed,
    percent,
    ratio_of,
    shows_smallest_effect,
)
from mlpstorage_bench.results.record import GateRecord, VerdictRecord
from mlpstorage_bench.units import counted

NOT_COMPARED = "not compared"
MOST_DISTURBED_IN_A_ROW = 2
"""Number of disturbed runs of a case, one after the other, that pass; the next one fails."""
PASSED, TESTS_FAILED, USAGE_ERROR = 0, 1, 4
"""Exit statuses, those of pytest."""
_MOST_SEVERE_FIRST = (
    Verdict.DISTURBED,
    Verdict.UNDECIDED,
    Verdict.COLLECTING,
    Verdict.IMPROVED,
    Verdict.PASSED,
)
_MOST_NAMED = 3
_AGAIN = "run it again: a loss in both runs is no chance"
_NEW_BASELINE = (
    "find out whether the difference is a mistake. If the system or the workload was changed on "
    "purpose, run once without the gate's options: that run starts a new baseline"
)
_FALSE_ALARM = "a false alarm: use more trials (--mlps-trials) or a rule with a larger change"
_END_DISTURBANCE = (
    "end what disturbs the runs. If it now belongs to the system, start a new baseline with a tag "
    "of its own (--mlps-tag=NAME --mlps-baseline=tag:NAME)"
)


@dataclass(frozen=True)
class FailureRules:
    """Which verdicts fail the session, besides `regressed`."""

    undecided: bool = False
    collecting: bool = False
    improved: bool = False
    """Whether a change for the better fails: in a self-test it is a false alarm, too."""
    disturbed: bool = False
    """Whether each disturbed run fails; otherwise only the third one in a row does."""


@dataclass(frozen=True)
class GateResult:
    """Verdicts on all metrics of a run, and the cases that could not be compared."""

    run_id: str
    baseline: str
    """The chosen baseline, in words."""
    verdicts: tuple[MetricVerdict, ...]
    refusals: Mapping[str, str]
    """Cases that could not be compared, with the reason."""
    disturbances: Mapping[str, CaseDisturbance] = field(default_factory=dict)
    """Cases that something else than the storage changed."""
    disturbed_before: Mapping[str, int] = field(default_factory=dict)
    """Number of disturbed runs of a case directly before this one."""
    failure_rules: FailureRules = FailureRules()
    look: int = 1
    """Number of the current look at the samples, from 1."""
    looks: int = 1
    """Largest possible number of looks."""
    across: bool = False
    """Whether runs of other workloads and systems were compared, too."""
    remarks: tuple[str, ...] = ()
    """Remarks on the baseline, such as runs whose files cannot be read."""

    @property
    def verdict(self) -> str:
        """Verdict on the whole run: the most severe of all; `passed` if no rule applies."""
        if self.with_verdict(Verdict.REGRESSED):
            return Verdict.REGRESSED.value
        if self.refusals:
            return NOT_COMPARED
        return next((v for v in _MOST_SEVERE_FIRST if self.with_verdict(v)), Verdict.PASSED).value

    def with_verdict(self, verdict: Verdict) -> list[MetricVerdict]:
        """Return the metrics with a verdict."""
        return [one for one in self.verdicts if one.verdict == verdict]

    def fails(self, one: MetricVerdict) -> bool:
        """Return whether a verdict fails the session."""
        rules = self.failure_rules
        return {
            Verdict.REGRESSED: True,
            Verdict.UNDECIDED: rules.undecided,
            Verdict.COLLECTING: rules.collecting,
            Verdict.IMPROVED: rules.improved,
            Verdict.DISTURBED: rules.disturbed
            or self.disturbed_in_a_row(one.case) > MOST_DISTURBED_IN_A_ROW,
            Verdict.PASSED: False,
        }[one.verdict]

    def disturbed_in_a_row(self, case: str) -> int:
        """Return the number of disturbed runs of a case up to this one, which counts."""
        return self.disturbed_before.get(case, 0) + 1

    @property
    def failing(self) -> list[MetricVerdict]:
        """The verdicts that fail the session."""
        return [one for one in self.verdicts if self.fails(one)]

    @property
    def exit_status(self) -> int:
        """Exit status of a session whose tests have passed.

        1 if the storage is at fault or cannot be told to be right; 4 if the run was not judged.
        """
        failed = {one.verdict for one in self.failing}
        if failed - {Verdict.COLLECTING, Verdict.DISTURBED}:
            return TESTS_FAILED
        return USAGE_ERROR if failed or self.refusals else PASSED

    @property
    def cases_to_retry(self) -> list[str]:
        """Cases that a later look may decide: with an undecided or a disturbed metric."""
        return list(
            dict.fromkeys(
                one.case
                for one in self.verdicts
                if one.verdict is Verdict.DISTURBED
                or (
                    one.verdict is Verdict.UNDECIDED
                    and one.judgement is not None
                    and one.judgement.may_be_decided_later
                )
            )
        )

    @property
    def summary(self) -> str:
        """Number of metrics with each verdict, in one line."""
        counts = [f"{len(self.with_verdict(v))} {v.value}" for v in Verdict if self.with_verdict(v)]
        if self.refusals:
            counts.append(f"{len(self.refusals)} {NOT_COMPARED}")
        return ", ".join(counts) or "nothing to compare"

    @property
    def headline(self) -> str:
        """Outcome of the whole gate in one line: whether it failed, and by what."""
        if self.exit_status == PASSED:
            has_warning = self.with_verdict(Verdict.DISTURBED) or self.with_verdict(
                Verdict.UNDECIDED
            )
            return f"gate passed{' with a warning' if has_warning else ''}: {self.summary}"
        parts = [self._failed_by(verdict) for verdict in Verdict]
        if self.refusals:
            cases = "case" if len(self.refusals) == 1 else "cases"
            parts.append(f"{NOT_COMPARED}: {cases} {listed(list(self.refusals), _MOST_NAMED)}")
        return f"gate FAILED: {'; '.join(filter(None, parts))}"

    def _failed_by(self, verdict: Verdict) -> str:
        """Return the metrics that fail with a verdict, or the cases where it is of whole cases."""
        failing = [one for one in self.failing if one.verdict is verdict]
        if not failing:
            return ""
        if verdict not in (Verdict.DISTURBED, Verdict.COLLECTING):
            return f"{verdict}: {listed([_named(one) for one in failing], _MOST_NAMED)}"
        cases = list(dict.fromkeys(one.case for one in failing))
        row = max(self.disturbed_in_a_row(case) for case in cases)
        is_row = verdict is Verdict.DISTURBED and row > 1
        for_long = f" for {row} runs in a row" if is_row else ""
        return f"{verdict}{for_long}: {listed(cases, _MOST_NAMED)}"

    @property
    def next_step(self) -> str:
        """Next step of the run's owner, for the most severe verdict; '' if there is none."""
        of_verdict: Mapping[Verdict, Callable[[list[MetricVerdict]], str]] = {
            Verdict.DISTURBED: self._step_for_disturbed,
            Verdict.UNDECIDED: _step_for_undecided,
            Verdict.COLLECTING: _step_for_collecting,
        }
        if self.with_verdict(Verdict.REGRESSED):
            return _AGAIN
        if self.refusals:
            return _NEW_BASELINE
        steps = (step(ones) for v, step in of_verdict.items() if (ones := self.with_verdict(v)))
        return next(steps, _FALSE_ALARM if self.failing else "")

    def _step_for_disturbed(self, disturbed: list[MetricVerdict]) -> str:
        is_repeated = any(self.disturbed_before.get(one.case, 0) for one in disturbed)
        return _END_DISTURBANCE if is_repeated else "run it again without the disturbance"

    def to_record(self) -> GateRecord:
        """Return the result as the run's metadata has it."""
        return GateRecord(
            run_id=self.run_id,
            verdict=self.verdict,
            exit_status=self.exit_status,
            baseline=self.baseline,
            across=self.across,
            look=self.look,
            looks=self.looks,
            summary=self.summary,
            next_step=self.next_step,
            verdicts=[_record(one, fails=self.fails(one)) for one in self.verdicts],
            refusals=dict(self.refusals),
            disturbances={case: list(one.causes) for case, one in self.disturbances.items()},
        )


def _named(one: MetricVerdict) -> str:
    if one.verdict is Verdict.REGRESSED and one.misses_limit:
        return f"{one.case} {one.metric}: {one.reason}"
    ratio = None if one.judgement is None else ratio_of(one.judgement)
    is_change = one.verdict in (Verdict.REGRESSED, Verdict.IMPROVED)
    change = f" {change_in_words(ratio, one.rule.unit)}" if is_change and ratio is not None else ""
    return f"{one.case} {one.metric}{change}"


def _step_for_collecting(collecting: list[MetricVerdict]) -> str:
    missing = max(MIN_RUNS - len(one.baseline_runs) - one.is_added for one in collecting)
    if missing:
        return f"run it again: after {counted(missing, 'more run')}, every run is compared"
    return "run it again: the next run is the first that is compared"


def _step_for_undecided(undecided: list[MetricVerdict]) -> str:
    """Return the step that decides most: more baseline runs, more trials, or another rule."""
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
        return f"use --mlps-trials={trials}: that many show a loss of {loss} % of {one.metric}"
    judged = [(one.judgement, one.rule) for one in undecided]
    if all(j is not None and shows_smallest_effect(j, rule) for j, rule in judged):
        return "run it again: this run is between a loss and none"
    return (
        "no number of trials can decide this: this storage varies too much from run to run. Set "
        "limits, or change rules to greater losses or off (--mlps-gate-rule 'METRIC: off')"
    )


def _record(one: MetricVerdict, *, fails: bool) -> VerdictRecord:
    judgement = one.judgement
    ratio = None if judgement is None else ratio_of(judgement)
    return VerdictRecord(
        case=one.case,
        metric=one.metric,
        verdict=one.verdict.value,
        unit=one.rule.unit,
        rule=str(one.rule),
        reason=one.reason,
        fails=fails,
        median=one.value,
        trials=one.trials,
        baseline_runs=list(one.baseline_runs),
        baseline_median=None if judgement is None else judgement.baseline_median,
        baseline_spread=None if judgement is None else judgement.baseline_spread,
        change=None if ratio is None else change_in_words(ratio, one.rule.unit),
        effect=None if judgement is None else judgement.effect,
        interval=None if judgement is None else judgement.interval,
        p_value=None if judgement is None else judgement.p_value,
        detectable_effect=None if judgement is None else judgement.detectable_effect,
        more_trials=None if judgement is None else judgement.more_trials,
    )
