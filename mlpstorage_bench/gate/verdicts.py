"""Verdicts of a run: every metric with a rule, in every case, against the case's baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import median

from mlpstorage_bench.gate.baseline import Baseline
from mlpstorage_bench.gate.comparison import MIN_EFFECT_SHARE
from mlpstorage_bench.gate.decision import Comparison, Judgement, Verdict, judge_all, judge_at
from mlpstorage_bench.gate.disturbances import CaseDisturbance, disturbance_of
from mlpstorage_bench.gate.evidence import MIN_RUNS, MIN_TRIALS
from mlpstorage_bench.gate.looks import Retries
from mlpstorage_bench.gate.metric_verdict import MetricVerdict
from mlpstorage_bench.gate.not_judged import ALWAYS_ZERO, NOT_MEASURED, NotJudged
from mlpstorage_bench.gate.rules import Rule, Rules
from mlpstorage_bench.gate.series import CaseSeries, RunSeries
from mlpstorage_bench.gate.wording import ratio_of, reason_of


@dataclass(frozen=True)
class RunVerdicts:
    """Verdicts on all metrics of a run, and what disturbed its cases."""

    metrics: tuple[MetricVerdict, ...]
    disturbances: Mapping[str, CaseDisturbance] = field(default_factory=dict)
    """Only cases with a disturbance."""
    not_judged: tuple[NotJudged, ...] = ()
    """Rules without a figure, by case."""


def judge_run(
    candidate: RunSeries,
    baselines: Mapping[str, Baseline],
    rules: Rules,
    *,
    retries: Retries | None = None,
    ignores_disturbances: bool = False,
) -> RunVerdicts:
    """Return a verdict for every metric that has a rule and a figure.

    All metrics of the run are one family for Holm's correction. The more looks a case may have, the
    smaller the significance level of each. Trials with interference are left out if there are
    enough others; else they are judged, and a loss that the interference explains is no regression.
    """
    retries = retries or Retries()
    cases = {
        name: _JudgedCase.of(case, baselines[name], ignores_disturbances=ignores_disturbances)
        for name, case in candidate.cases.items()
    }
    checks = [
        _RuleCheck(name, case, rule, baselines[name], retries)
        for name, case in cases.items()
        for rule in rules.of_case(name).values()
    ]
    looks = {
        name: retries.looks_at(name, len(candidate.cases[name].trials), case.left_out)
        for name, case in cases.items()
    }
    compared = [one for one in checks if one.comparison is not None and not one.is_collecting]
    judgements = judge_at(
        [(one.comparison, looks[one.case]) for one in compared if one.comparison is not None]
    )
    judgement_of = {id(one): result for one, result in zip(compared, judgements, strict=True)}
    results = [one.verdict(judgement_of.get(id(one))) for one in checks]
    verdicts = tuple(verdict for verdict in results if verdict is not None)
    if any(one.verdict is Verdict.REGRESSED for one in verdicts):
        verdicts = tuple(one.excluded_from_baseline() for one in verdicts)
    found = {name: case.disturbance for name, case in cases.items()}
    return RunVerdicts(
        verdicts,
        {name: one for name, one in found.items() if one.causes},
        tuple(
            NotJudged(one.case, one.rule, one.why_not_judged)
            for one, verdict in zip(checks, results, strict=True)
            if one.why_not_judged and verdict is None
        ),
    )


@dataclass(frozen=True)
class _JudgedCase:
    """A case with the trials that are judged, and what disturbed it."""

    series: CaseSeries
    disturbance: CaseDisturbance
    is_interfered_with: bool
    """Whether judged trials had interference, because too few others exist."""

    @property
    def left_out(self) -> tuple[int, ...]:
        """Numbers of the trials that are not judged, from 1."""
        return () if self.is_interfered_with else self.disturbance.trials

    @classmethod
    def of(cls, case: CaseSeries, baseline: Baseline, *, ignores_disturbances: bool) -> _JudgedCase:
        trials = [None if ignores_disturbances else trial.conditions for trial in case.trials]
        found = disturbance_of(trials, baseline.usual)
        others = tuple(
            trial for number, trial in enumerate(case.trials, 1) if number not in found.trials
        )
        if len(others) >= MIN_TRIALS:
            return cls(replace(case, trials=others), found, is_interfered_with=False)
        return cls(case, found, is_interfered_with=bool(found.trials))


class _RuleCheck:
    """One rule with the values of its metric in the candidate and in the baseline runs."""

    def __init__(
        self, case: str, judged: _JudgedCase, rule: Rule, baseline: Baseline, retries: Retries
    ) -> None:
        self.case = case
        self.rule = rule
        self._judged = judged
        self._baseline = baseline
        self._values = judged.series.values(rule.metric)
        self._has_too_few_trials = retries.most_trials(case, len(self._values)) < MIN_TRIALS
        runs = [(run.run_id, run.cases[case].values(rule.metric)) for run in baseline.runs]
        self._runs = {run_id: values for run_id, values in runs if values}
        self.comparison: Comparison | None = None
        is_fixed = not (baseline.refusal or baseline.can_grow)
        self.why_not_judged = self._why_not_judged(is_fixed=is_fixed)
        """Reason why there is no figure to judge; '' if there is one, or if it was lost."""
        criterion = None if self.why_not_judged else rule.criterion
        if criterion is not None and self._values and (self._runs or is_fixed):
            self.comparison = Comparison(list(self._runs.values()), self._values, criterion)
        self.is_collecting = (
            criterion is not None
            and bool(self._values)
            and baseline.can_grow
            and len(self._runs) < MIN_RUNS
        )

    def _why_not_judged(self, *, is_fixed: bool) -> str:
        is_lost = self.rule.metric in self._baseline.lost
        if not self._values:
            return "" if self._runs or is_lost else NOT_MEASURED
        is_compared = bool(self._runs) or not (is_fixed or self._baseline.refusal)
        is_zero = not any(map(any, (self._values, *self._runs.values())))
        has_no_change = self.rule.criterion is not None and is_compared and is_zero
        return ALWAYS_ZERO if has_no_change and not is_lost else ""

    def verdict(self, judgement: Judgement | None) -> MetricVerdict | None:
        """Return the verdict; None if there is nothing to judge."""
        value = median(self._values) if self._values else None
        if value is None and self.why_not_judged:
            return None
        if self.is_collecting and self.comparison is not None:
            judgement = judge_all([self.comparison])[0]
        undecided = MetricVerdict(
            case=self.case,
            rule=self.rule,
            verdict=Verdict.UNDECIDED,
            reason="",
            value=value,
            trials=len(self._values),
            judgement=judgement,
            baseline_runs=tuple(self._runs),
            has_too_few_trials=self._has_too_few_trials,
        )
        if value is None:
            return replace(undecided, reason=_LOST)
        verdict = self._undisturbed(undecided, value)
        return None if verdict is None else self._disturbed(verdict)

    def _undisturbed(self, undecided: MetricVerdict, value: float) -> MetricVerdict | None:
        """Return the verdict as if nothing had disturbed the run; None if nothing is to judge."""
        judgement = undecided.judgement
        by_limit = self._limit_verdict(undecided, value)
        if by_limit is not None and by_limit.verdict is Verdict.REGRESSED:
            return by_limit
        if self.is_collecting:
            is_added = self._baseline.accepts_candidate
            return undecided.collecting(exclusion="" if is_added else _NOT_ACCEPTED)
        if judgement is not None:
            reason = reason_of(judgement, self.rule, len(self._runs), len(self._values))
            return replace(undecided, verdict=judgement.verdict, reason=reason)
        return by_limit

    def _limit_verdict(self, undecided: MetricVerdict, value: float) -> MetricVerdict | None:
        """Return passed or regressed by the rule's limit; None without a limit."""
        limit, unit = self.rule.limit, f" {self.rule.unit}".rstrip()
        if limit is None:
            return None
        holds = limit.holds(value)
        outcome = "meets" if holds else "misses"
        return replace(
            undecided,
            verdict=Verdict.PASSED if holds else Verdict.REGRESSED,
            reason=f"median {value:.4g}{unit} {outcome} the limit {limit}{unit}",
        )

    def _disturbed(self, verdict: MetricVerdict) -> MetricVerdict:
        """Return disturbed where the disturbance may have made the verdict; else the verdict.

        A metric that passes in spite of it has passed. A loss that it does not explain is judged.
        """
        found, speed = self._judged.disturbance, self._speed_ratio(verdict)
        if not found.causes or verdict.verdict in (Verdict.PASSED, Verdict.IMPROVED):
            return verdict
        causes = "; ".join(found.causes)
        if verdict.verdict is Verdict.COLLECTING:
            if not self._judged.is_interfered_with and not self._is_explained(speed):
                return verdict
            reason = f"{causes}; {verdict.progress('which was disturbed')}"
            return replace(verdict, verdict=Verdict.DISTURBED, reason=reason, is_added=False)
        is_explained = self._is_explained(speed)
        if verdict.misses_limit:
            is_explained = self._explains_missed_limit(verdict) and (speed is None or is_explained)
        if is_explained:
            return replace(verdict, verdict=Verdict.DISTURBED, reason=causes)
        if verdict.verdict is Verdict.REGRESSED:
            also = f"; more than a disturbance explains ({causes})"
            return replace(verdict, reason=verdict.reason + also)
        return verdict

    def _explains_missed_limit(self, verdict: MetricVerdict) -> bool:
        """Return whether the undisturbed run may have met the limit that this one misses."""
        limit, value, found = self.rule.limit, verdict.value, self._judged.disturbance
        is_disturbed = self._judged.is_interfered_with or bool(found.limit)
        if limit is None or value is None or not limit.value or not is_disturbed:
            return False
        speed = value / limit.value if limit.at_least else limit.value / value
        return found.explains(1 - speed, is_rate=limit.at_least)

    def _is_explained(self, speed: float | None) -> bool:
        """Return whether the disturbance explains the loss of speed.

        A changed limit counts only for a loss that matters; interference for any.
        """
        found = self._judged.disturbance
        if speed is None or not found.explains(1 - speed, is_rate=self._is_rate):
            return False
        relevant = MIN_EFFECT_SHARE * (self.rule.smallest_effect or 0.0)
        return self._judged.is_interfered_with or speed < 1 - relevant

    @property
    def _is_rate(self) -> bool:
        return self.rule.higher_is_better is not False

    def _speed_ratio(self, verdict: MetricVerdict) -> float | None:
        """Return this run's speed ÷ the baseline's; None if there is nothing to compare with."""
        ratio = None if verdict.judgement is None else ratio_of(verdict.judgement)
        if ratio is None or self._is_rate:
            return ratio
        return 1 / ratio if ratio else None


_NOT_ACCEPTED = "which does not have the baseline's tag or branch"
_LOST = "no trial of this run has this metric, which comparable runs had"
