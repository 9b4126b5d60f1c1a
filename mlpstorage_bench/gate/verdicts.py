"""Verdicts of a run: every metric with a rule, in every case, against the case's baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from mlpstorage_bench.gate.baseline import Baseline
from mlpstorage_bench.gate.decision import Comparison, Judgement, Verdict, judge_all, judge_at
from mlpstorage_bench.gate.evidence import MIN_RUNS
from mlpstorage_bench.gate.looks import Retries
from mlpstorage_bench.gate.rules import Rule, Rules
from mlpstorage_bench.gate.series import RunSeries

NOT_COMPARED = "not compared"
_MOST_SEVERE_FIRST = (Verdict.UNDECIDED, Verdict.COLLECTING, Verdict.IMPROVED, Verdict.PASSED)


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

    @property
    def metric(self) -> str:
        """The metric's name."""
        return self.rule.metric

    def excluded_from_baseline(self) -> MetricVerdict:
        """Return the verdict for a run that has regressed and so is not added to a baseline."""
        if self.verdict is not Verdict.COLLECTING:
            return self
        reason = _progress(len(self.baseline_runs), exclusion="which has regressed")
        return replace(self, reason=reason)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields for JSON."""
        judgement = self.judgement
        return {
            "case": self.case,
            "metric": self.metric,
            "unit": self.rule.unit,
            "rule": str(self.rule),
            "verdict": self.verdict.value,
            "reason": self.reason,
            "median": self.value,
            "trials": self.trials,
            "baseline_runs": list(self.baseline_runs),
            "baseline_median": None if judgement is None else judgement.baseline_median,
            "baseline_spread": None if judgement is None else judgement.baseline_spread,
            "effect": None if judgement is None else judgement.effect,
            "interval": None
            if judgement is None or judgement.interval is None
            else list(judgement.interval),
            "p_value": None if judgement is None else judgement.p_value,
            "detectable_effect": None if judgement is None else judgement.detectable_effect,
            "more_trials": None if judgement is None else judgement.more_trials,
        }


@dataclass(frozen=True)
class GateResult:
    """Verdicts on all metrics of a run, and the cases that could not be compared."""

    run_id: str
    baseline: str
    """The chosen baseline, in words."""
    verdicts: tuple[MetricVerdict, ...]
    refusals: Mapping[str, str]
    """Cases that could not be compared, with the reason."""
    look: int = 1
    """Number of the current look at the samples, from 1."""
    looks: int = 1
    """Largest possible number of looks."""
    across: bool = False
    """Whether runs of other workloads and systems were compared, too."""
    undecided_fails: bool = False
    """Whether an undecided metric fails the session."""

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

    @property
    def cases_to_retry(self) -> list[str]:
        """Cases with an undecided metric that a later look may decide."""
        return list(
            dict.fromkeys(
                one.case
                for one in self.with_verdict(Verdict.UNDECIDED)
                if one.judgement is not None and one.judgement.may_be_decided_later
            )
        )

    @property
    def summary(self) -> str:
        """Number of metrics with each verdict, in one line."""
        counts = [f"{len(self.with_verdict(v))} {v.value}" for v in Verdict if self.with_verdict(v)]
        if self.refusals:
            counts.append(f"{len(self.refusals)} {NOT_COMPARED}")
        return ", ".join(counts) or "nothing to compare"

    def to_dict(self) -> dict[str, Any]:
        """Return all fields for JSON."""
        return {
            "run_id": self.run_id,
            "verdict": self.verdict,
            "baseline": self.baseline,
            "across": self.across,
            "look": self.look,
            "looks": self.looks,
            "summary": self.summary,
            "verdicts": [one.to_dict() for one in self.verdicts],
            "refusals": dict(self.refusals),
        }


def judge_run(
    candidate: RunSeries,
    baselines: Mapping[str, Baseline],
    rules: Rules,
    *,
    retries: Retries | None = None,
) -> tuple[MetricVerdict, ...]:
    """Return a verdict for every metric that has a rule.

    All metrics of the run are one family for Holm's correction. The more looks a case may have, the
    smaller the significance level of each.
    """
    retries = retries or Retries()
    checks = [
        _RuleCheck(candidate, case, rule, baselines[case])
        for case in candidate.cases
        for rule in rules.of_case(case).values()
    ]
    looks = {
        name: retries.looks_at(name, len(case.trials), len(baselines[name].runs))
        for name, case in candidate.cases.items()
    }
    compared = [one for one in checks if one.comparison is not None and not one.is_collecting]
    judgements = judge_at(
        [(one.comparison, looks[one.case]) for one in compared if one.comparison is not None]
    )
    judgement_of = {id(one): result for one, result in zip(compared, judgements, strict=True)}
    results = (one.verdict(judgement_of.get(id(one))) for one in checks)
    verdicts = tuple(verdict for verdict in results if verdict is not None)
    if any(one.verdict is Verdict.REGRESSED for one in verdicts):
        return tuple(one.excluded_from_baseline() for one in verdicts)
    return verdicts


class _RuleCheck:
    """One rule with the values of its metric in the candidate and in the baseline runs."""

    def __init__(self, candidate: RunSeries, case: str, rule: Rule, baseline: Baseline) -> None:
        self.case = case
        self._baseline = baseline
        self._rule = rule
        self._values = candidate.cases[case].values(rule.metric)
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
        by_limit = self._limit_verdict(undecided, value)
        if by_limit is not None and by_limit.verdict is Verdict.REGRESSED:
            return by_limit
        if self.is_collecting:
            return self._collecting(undecided)
        if judgement is not None:
            return replace(undecided, verdict=judgement.verdict, reason=judgement.reason)
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

    def _collecting(self, undecided: MetricVerdict) -> MetricVerdict:
        """Return the progress of the baseline, with the change so far, which decides nothing."""
        matches = self._baseline.accepts_candidate
        exclusion = "" if matches else "which does not have the baseline's tag or branch"
        return replace(
            undecided,
            verdict=Verdict.COLLECTING,
            judgement=None if self.comparison is None else judge_all([self.comparison])[0],
            reason=_progress(len(self._runs), exclusion),
        )


def _progress(earlier: int, exclusion: str) -> str:
    """Return the number of baseline runs; `exclusion` says why this run does not count."""
    if exclusion:
        return f"{earlier} of {MIN_RUNS} baseline runs, excluding this run, {exclusion}"
    return f"{earlier + 1} of {MIN_RUNS} baseline runs, including this run"
