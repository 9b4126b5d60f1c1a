"""Result of the gate on a whole run: which verdicts fail the session, and what to do next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from mlpstorage_bench.gate import next_step
from mlpstorage_bench.gate.decision import Verdict
from mlpstorage_bench.gate.disturbances import CaseDisturbance
from mlpstorage_bench.gate.metric_verdict import MetricVerdict
from mlpstorage_bench.gate.not_judged import NotJudged, UnusedRule
from mlpstorage_bench.gate.wording import change_in_words, listed, ratio_of
from mlpstorage_bench.results.gate_record import (
    GateRecord,
    NotJudgedRecord,
    UnusedRuleRecord,
    VerdictRecord,
)
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


def outcome_line(reason: str, *, is_failure: bool, has_warning: bool = False) -> str:
    """Return a line that says first whether the gate failed."""
    if is_failure:
        return f"gate FAILED: {reason}"
    return f"gate passed{' with a warning' if has_warning else ''}: {reason}"


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
    not_judged: tuple[NotJudged, ...] = ()
    """Rules that cases have no figure for, which is no fault."""
    has_fixed_trials: bool = False
    """Whether the rules of the run's mode fix the number of trials."""
    unused_rules: tuple[UnusedRule, ...] = ()
    """Rules of the user that no case has a figure for: mistakes, unless the session was partial."""

    @property
    def verdict(self) -> str:
        """Verdict on the whole run: the most severe of all; `passed` if no rule applies.

        With a rule that judges nothing, it is undecided at best.
        """
        if self.with_verdict(Verdict.REGRESSED):
            return Verdict.REGRESSED.value
        if self.refusals:
            return NOT_COMPARED
        found = {one.verdict for one in self.verdicts}
        if self.unused_rules:
            found.add(Verdict.UNDECIDED)
        return next((v for v in _MOST_SEVERE_FIRST if v in found), Verdict.PASSED).value

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
        is_unjudged = bool(self.refusals) or self.fails_by_rules
        return USAGE_ERROR if failed or is_unjudged else PASSED

    @property
    def fails_by_rules(self) -> bool:
        """Whether rules that judge nothing fail the session."""
        return bool(self.unused_rules) and self.failure_rules.undecided

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
    def short_cases(self) -> list[str]:
        """Cases that will never be compared, as they have too few trials, if that is news."""
        return list(
            dict.fromkeys(
                one.case for one in self.verdicts if one.is_short and not self.is_known(one)
            )
        )

    def is_known(self, one: MetricVerdict) -> bool:
        """Return whether a metric has too few trials, and an earlier run has said so.

        It is said in each run in which that fails, or in which nothing else is compared.
        """
        is_nothing_compared = all(other.is_short for other in self.verdicts)
        return one.is_short and one.has_said_so and not (is_nothing_compared or self.fails(one))

    def news(self, verdict: Verdict) -> list[MetricVerdict]:
        """Return the metrics with a verdict, without those that are known to be short."""
        return [one for one in self.with_verdict(verdict) if not self.is_known(one)]

    @property
    def has_warning(self) -> bool:
        """Whether something passes that was not judged, or never will be, and that is news."""
        is_unsure = any(map(self.news, (Verdict.DISTURBED, Verdict.UNDECIDED)))
        return is_unsure or bool(self.unused_rules) or bool(self.short_cases)

    @property
    def summary(self) -> str:
        """Number of metrics with each verdict, in one line."""
        counts = [f"{len(self.with_verdict(v))} {v.value}" for v in Verdict if self.with_verdict(v)]
        if self.refusals:
            counts.append(f"{len(self.refusals)} {NOT_COMPARED}")
        if self.unused_rules:
            counts.append(f"{counted(len(self.unused_rules), 'rule')} without a figure")
        return ", ".join(counts) or "nothing to compare"

    @property
    def headline(self) -> str:
        """Outcome of the whole gate in one line: whether it failed, and by what."""
        is_failure = self.exit_status != PASSED
        return outcome_line(self.reason, is_failure=is_failure, has_warning=self.has_warning)

    @property
    def reason(self) -> str:
        """Reason of a failure; of a gate that passed, the number of metrics with each verdict."""
        if self.exit_status == PASSED:
            return self.summary
        parts = [self._failed_by(verdict) for verdict in Verdict]
        if self.refusals:
            cases = "case" if len(self.refusals) == 1 else "cases"
            parts.append(f"{NOT_COMPARED}: {cases} {listed(list(self.refusals), _MOST_NAMED)}")
        if self.fails_by_rules:
            rules = listed([one.text for one in self.unused_rules], _MOST_NAMED)
            parts.append(f"rules that judge nothing: {rules}")
        return "; ".join(filter(None, parts))

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
            Verdict.UNDECIDED: partial(next_step.for_undecided, is_fixed=self.has_fixed_trials),
            Verdict.COLLECTING: partial(next_step.for_collecting, is_fixed=self.has_fixed_trials),
        }
        if regressed := self.with_verdict(Verdict.REGRESSED):
            return next_step.for_regressed(regressed)
        if self.refusals:
            return next_step.NEW_BASELINE
        if self.unused_rules:
            return next_step.CORRECT_RULES
        steps = (step(ones) for v, step in of_verdict.items() if (ones := self.news(v)))
        return next(steps, next_step.FALSE_ALARM if self.failing else "")

    def _step_for_disturbed(self, disturbed: list[MetricVerdict]) -> str:
        is_repeated = any(self.disturbed_before.get(one.case, 0) for one in disturbed)
        return next_step.for_disturbed(is_repeated=is_repeated)

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
            not_judged=[
                NotJudgedRecord(
                    case=one.case, metric=one.rule.metric, rule=str(one.rule), reason=one.reason
                )
                for one in self.not_judged
            ],
            unused_rules=[
                UnusedRuleRecord(rule=one.text, source=one.source, reason=one.reason)
                for one in self.unused_rules
            ],
        )


def _named(one: MetricVerdict) -> str:
    if one.verdict is Verdict.REGRESSED and one.misses_limit:
        return f"{one.case} {one.metric}: {one.reason}"
    ratio = None if one.judgement is None else ratio_of(one.judgement)
    is_change = one.verdict in (Verdict.REGRESSED, Verdict.IMPROVED)
    change = f" {change_in_words(ratio, one.rule.unit)}" if is_change and ratio is not None else ""
    return f"{one.case} {one.metric}{change}"


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
