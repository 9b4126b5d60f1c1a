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
from mlpstorage_bench.gate.rules import Rule, Rules
from mlpstorage_bench.gate.series import CaseSeries, RunSeries
from mlpstorage_bench.gate.wording import ratio_of, reason_of


@dataclass(frozen=True)
class MetricVerdict:
    """Verdict on one metric of one case."""

    case: str
    rule: Rule
    verdict: Verdict
    reason: str
    value: float | None
    """Median of this run's trials, in the metric's unit; None if no trial has the metric."""
    trials: int
    judgement: Judgement | None = None
    """None if nothing was compared: the rule has only a limit, or there is no baseline."""
    baseline_runs: tuple[str, ...] = ()
    is_added: bool = False
    """Whether a collecting run is added to its baseline."""

    @property
    def metric(self) -> str:
        """The metric's name."""
        return self.rule.metric

    @property
    def misses_limit(self) -> bool:
        """Whether the rule has a limit that the value does not meet."""
        limit = self.rule.limit
        return limit is not None and self.value is not None and not limit.holds(self.value)

    def excluded_from_baseline(self) -> MetricVerdict:
        """Return the verdict for a run that has regressed and so is not added to a baseline."""
        if self.verdict is not Verdict.COLLECTING:
            return self
        reason = _progress(len(self.baseline_runs), exclusion="which has regressed")
        return replace(self, reason=reason, is_added=False)


@dataclass(frozen=True)
class RunVerdicts:
    """Verdicts on all metrics of a run, and what disturbed its cases."""

    metrics: tuple[MetricVerdict, ...]
    disturbances: Mapping[str, CaseDisturbance] = field(default_factory=dict)
    """Only cases with a disturbance."""


def judge_run(
    candidate: RunSeries,
    baselines: Mapping[str, Baseline],
    rules: Rules,
    *,
    retries: Retries | None = None,
    ignores_disturbances: bool = False,
) -> RunVerdicts:
    """Return a verdict for every metric that has a rule.

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
        _RuleCheck(name, case, rule, baselines[name])
        for name, case in cases.items()
        for rule in rules.of_case(name).values()
    ]
    looks = {name: retries.looks_at(name, len(case.series.trials)) for name, case in cases.items()}
    compared = [one for one in checks if one.comparison is not None and not one.is_collecting]
    judgements = judge_at(
        [(one.comparison, looks[one.case]) for one in compared if one.comparison is not None]
    )
    judgement_of = {id(one): result for one, result in zip(compared, judgements, strict=True)}
    results = (one.verdict(judgement_of.get(id(one))) for one in checks)
    verdicts = tuple(verdict for verdict in results if verdict is not None)
    if any(one.verdict is Verdict.REGRESSED for one in verdicts):
        verdicts = tuple(one.excluded_from_baseline() for one in verdicts)
    found = {name: case.disturbance for name, case in cases.items()}
    return RunVerdicts(verdicts, {name: one for name, one in found.items() if one.causes})


@dataclass(frozen=True)
class _JudgedCase:
    """A case with the trials that are judged, and what disturbed it."""

    series: CaseSeries
    disturbance: CaseDisturbance
    is_interfered_with: bool
    """Whether judged trials had interference, because too few others exist."""

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

    def __init__(self, case: str, judged: _JudgedCase, rule: Rule, baseline: Baseline) -> None:
        self.case = case
        self._judged = judged
        self._baseline = baseline
        self._rule = rule
        self._values = judged.series.values(rule.metric)
        runs = [(run.run_id, run.cases[case].values(rule.metric)) for run in baseline.runs]
        self._runs = {run_id: values for run_id, values in runs if values}
        criterion = rule.criterion
        self.comparison: Comparison | None = None
        is_fixed = not (baseline.refusal or baseline.can_grow)
        if criterion is not None and self._values and (self._runs or is_fixed):
            self.comparison = Comparison(list(self._runs.values()), self._values, criterion)
        self.is_collecting = (
            criterion is not None
            and bool(self._values)
            and baseline.can_grow
            and len(self._runs) < MIN_RUNS
        )

    def verdict(self, judgement: Judgement | None) -> MetricVerdict | None:
        """Return the verdict; None if neither this run nor the baseline has the metric."""
        value = median(self._values) if self._values else None
        if value is None and self._rule.limit is None and not self._runs:
            return None  # a case without reads has no p95 of reads, in no run
        if self.is_collecting and self.comparison is not None:
            judgement = judge_all([self.comparison])[0]
        undecided = MetricVerdict(
            case=self.case,
            rule=self._rule,
            verdict=Verdict.UNDECIDED,
            reason="",
            value=value,
            trials=len(self._values),
            judgement=judgement,
            baseline_runs=tuple(self._runs),
        )
        if value is None:
            return replace(undecided, reason="no trial of this run has this metric")
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
            reason = _progress(len(self._runs), "" if is_added else _NOT_ACCEPTED)
            return replace(undecided, verdict=Verdict.COLLECTING, reason=reason, is_added=is_added)
        if judgement is not None:
            reason = reason_of(judgement, self._rule, len(self._runs), len(self._values))
            return replace(undecided, verdict=judgement.verdict, reason=reason)
        return by_limit

    def _limit_verdict(self, undecided: MetricVerdict, value: float) -> MetricVerdict | None:
        """Return passed or regressed by the rule's limit; None without a limit."""
        limit, unit = self._rule.limit, f" {self._rule.unit}".rstrip()
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
            reason = f"{causes}; {_progress(len(self._runs), 'which was disturbed')}"
            return replace(verdict, verdict=Verdict.DISTURBED, reason=reason, is_added=False)
        has_missed_limit = verdict.verdict is Verdict.REGRESSED and speed is None
        if self._is_explained(speed) or (has_missed_limit and self._judged.is_interfered_with):
            return replace(verdict, verdict=Verdict.DISTURBED, reason=causes)
        if verdict.verdict is Verdict.REGRESSED:
            also = f"; more than a disturbance explains ({causes})"
            return replace(verdict, reason=verdict.reason + also)
        return verdict

    def _is_explained(self, speed: float | None) -> bool:
        """Return whether the disturbance explains the loss of speed.

        A changed limit counts only for a loss that matters; interference for any.
        """
        found = self._judged.disturbance
        if speed is None or not found.explains(1 - speed, is_rate=self._is_rate):
            return False
        relevant = MIN_EFFECT_SHARE * (self._rule.smallest_effect or 0.0)
        return self._judged.is_interfered_with or speed < 1 - relevant

    @property
    def _is_rate(self) -> bool:
        return self._rule.higher_is_better is not False

    def _speed_ratio(self, verdict: MetricVerdict) -> float | None:
        """Return this run's speed ÷ the baseline's; None if there is nothing to compare with."""
        ratio = None if verdict.judgement is None else ratio_of(verdict.judgement)
        if ratio is None or self._is_rate:
            return ratio
        return 1 / ratio if ratio else None


_NOT_ACCEPTED = "which does not have the baseline's tag or branch"


def _progress(earlier: int, exclusion: str) -> str:
    """Return the number of baseline runs; `exclusion` says why this run does not count."""
    if exclusion:
        return f"{earlier} of {MIN_RUNS} baseline runs, excluding this run, {exclusion}"
    return f"{earlier + 1} of {MIN_RUNS} baseline runs, including this run"
