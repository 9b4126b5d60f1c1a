"""A run beside its baseline: a verdict on every metric that a rule asks of."""

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
_WITHOUT = "without this one"
_MOST_SEVERE_FIRST = (Verdict.UNDECIDED, Verdict.COLLECTING, Verdict.IMPROVED, Verdict.PASSED)


@dataclass(frozen=True)
class MetricVerdict:
    """What is said of one metric of one case."""

    case: str
    rule: Rule
    verdict: Verdict
    reason: str
    value: float | None
    """The median of this run's trials, in the metric's unit; None where no trial has one."""
    trials: int
    judgement: Judgement | None = None
    """None where nothing was compared: the rule has a limit alone, or there is no baseline."""
    baseline_runs: tuple[str, ...] = ()

    @property
    def metric(self) -> str:
        """The metric's name."""
        return self.rule.metric

    def without_joining(self) -> MetricVerdict:
        """Return what is said in a run that joins no baseline, because it has regressed."""
        if self.verdict is not Verdict.COLLECTING:
            return self
        reason = _progress(len(self.baseline_runs), f"{_WITHOUT}, which has regressed")
        return replace(self, reason=reason)

    def to_dict(self) -> dict[str, Any]:
        """Return everything for JSON."""
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
    """What the gate says of a run."""

    run_id: str
    baseline: str
    """What was asked for as baseline, in words."""
    verdicts: tuple[MetricVerdict, ...]
    refusals: Mapping[str, str]
    """Cases that could not be compared, and why."""
    look: int = 1
    """How often the samples have been looked at, this time included."""
    looks: int = 1
    across: bool = False
    """Whether other workloads and systems were let in."""
    undecided_fails: bool = False
    """Whether an undecided metric fails the session."""

    @property
    def verdict(self) -> str:
        """The verdict on the whole run: the most severe of all; `passed` where nothing is asked."""
        if self.of(Verdict.REGRESSED):
            return Verdict.REGRESSED.value
        if self.refusals:
            return NOT_COMPARED
        return next((v for v in _MOST_SEVERE_FIRST if self.of(v)), Verdict.PASSED).value

    def of(self, verdict: Verdict) -> list[MetricVerdict]:
        """Return those with a verdict."""
        return [one for one in self.verdicts if one.verdict is verdict]

    @property
    def cases_to_repeat(self) -> list[str]:
        """Cases in which a later look could decide something."""
        return list(
            dict.fromkeys(
                one.case
                for one in self.of(Verdict.UNDECIDED)
                if one.judgement is not None and one.judgement.is_to_repeat
            )
        )

    @property
    def summary(self) -> str:
        """One line: how many of each."""
        counts = [f"{len(self.of(v))} {v.value}" for v in Verdict if self.of(v)]
        if self.refusals:
            counts.append(f"{len(self.refusals)} {NOT_COMPARED}")
        return ", ".join(counts) or "nothing to compare"

    def to_dict(self) -> dict[str, Any]:
        """Return everything for JSON."""
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
    """Return a verdict for every metric that a rule asks of; they decide together.

    The more looks there may be at a case, the less each may decide.
    """
    retries = retries or Retries()
    asked = [
        _Asked(candidate, case, rule, baselines[case])
        for case in candidate.cases
        for rule in rules.of_case(case).values()
    ]
    looks = {
        name: retries.looks_at(name, len(case.trials), len(baselines[name].runs))
        for name, case in candidate.cases.items()
    }
    decided = [one for one in asked if one.comparison is not None and not one.is_collecting]
    judgements = judge_at(
        [(one.comparison, looks[one.case]) for one in decided if one.comparison is not None]
    )
    of = {id(one): judgement for one, judgement in zip(decided, judgements, strict=True)}
    said = (one.verdict(of.get(id(one))) for one in asked)
    verdicts = tuple(verdict for verdict in said if verdict is not None)
    if any(one.verdict is Verdict.REGRESSED for one in verdicts):
        return tuple(one.without_joining() for one in verdicts)
    return verdicts


class _Asked:
    """A rule beside the values that it is about."""

    def __init__(self, candidate: RunSeries, case: str, rule: Rule, baseline: Baseline) -> None:
        self.case = case
        self._baseline = baseline
        self._rule = rule
        self._values = candidate.cases[case].values(rule.metric)
        runs = [(run.run_id, run.cases[case].values(rule.metric)) for run in baseline.runs]
        self._runs = {run_id: values for run_id, values in runs if values}
        question = rule.question
        self.comparison: Comparison | None = None
        has_choice = not (baseline.refusal or baseline.grows)
        if question is not None and self._values and (self._runs or has_choice):
            self.comparison = Comparison(list(self._runs.values()), self._values, question)
        self.is_collecting = (
            question is not None
            and bool(self._values)
            and baseline.grows
            and len(self._runs) < MIN_RUNS
        )

    def verdict(self, judgement: Judgement | None) -> MetricVerdict | None:
        """Return what is said; None where there is nothing to say anything of."""
        value = median(self._values) if self._values else None
        said = MetricVerdict(
            case=self.case,
            rule=self._rule,
            verdict=Verdict.UNDECIDED,
            reason="",
            value=value,
            trials=len(self._values),
            judgement=judgement,
            baseline_runs=tuple(self._runs),
        )
        limit = self._rule.limit
        if value is None:
            if limit is None and not self._runs:
                return None  # a case without reads has no p95 of reads, and never had one
            return replace(said, reason="no trial of this run has a value")
        if limit is not None and not limit.holds(value):
            reason = f"{value:.4g} is not {limit} {self._rule.unit}".rstrip()
            return replace(said, verdict=Verdict.REGRESSED, reason=reason)
        if self.is_collecting:
            return self._collecting(said)
        if judgement is not None:
            return replace(said, verdict=judgement.verdict, reason=judgement.reason)
        reason = f"{value:.4g} is {limit} {self._rule.unit}".rstrip()
        return None if limit is None else replace(said, verdict=Verdict.PASSED, reason=reason)

    def _collecting(self, said: MetricVerdict) -> MetricVerdict:
        """Return how far the baseline has come, with the change so far, which decides nothing."""
        joins = self._baseline.takes_candidate
        so_far = self.comparison
        return replace(
            said,
            verdict=Verdict.COLLECTING,
            judgement=None if so_far is None else judge_all([so_far])[0],
            reason=_progress(len(self._runs), "with this one" if joins else _WITHOUT),
        )


def _progress(earlier: int, this_one: str) -> str:
    """Return how far a baseline has come, in words."""
    count = earlier + (not this_one.startswith(_WITHOUT))
    return f"{count} of {MIN_RUNS} baseline runs, {this_one}"
