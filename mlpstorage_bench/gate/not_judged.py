"""Rules without a figure: in one case, which is normal, or in all cases, which is a mistake."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from mlpstorage_bench.gate.metric_verdict import MetricVerdict
from mlpstorage_bench.gate.rules import Rule, RuleLine, Rules
from mlpstorage_bench.gate.series import RunSeries
from mlpstorage_bench.gate.wording import listed

NOT_MEASURED = "not measured in this case"
ALWAYS_ZERO = "0 in this run and in all comparable runs"
_MOST_CASES = 5


@dataclass(frozen=True)
class NotJudged:
    """A rule that is not judged in a case, as no comparable run has a figure to judge."""

    case: str
    rule: Rule
    reason: str


@dataclass(frozen=True)
class UnusedRule:
    """A rule of the user for which no case of the session has a figure."""

    text: str
    """The rule as typed."""
    source: str
    """Its option, or the profile."""
    reason: str

    def __str__(self) -> str:
        return f"{self.source} {self.text!r} judges nothing: {self.reason}"


def unused_rules(
    rules: Rules,
    run: RunSeries,
    others: Sequence[RunSeries],
    verdicts: Collection[MetricVerdict],
) -> Iterator[UnusedRule]:
    """Yield the user's rules for which no case has a figure, or had one.

    `others` are the other runs of the session: a rule of an option may be for one of them, that of
    a profile for one of the same benchmark type. `verdicts` are those on this run, which say where
    a figure was lost.
    """
    judged = {(one.case, one.metric) for one in verdicts}
    for line in rules.lines:
        metric = line.rule.metric
        is_in_force = metric in rules.of_case(line.case or "")
        if line.is_default or line.is_off or not is_in_force:
            continue
        asked = [run, *(one for one in others if _is_for(line, one, run))]
        of_cases = {name for one in asked for name in _cases(line, one)}
        if any((name, metric) in judged for name in of_cases):
            continue
        if not any(one.cases[name].values(metric) for one in asked for name in _cases(line, one)):
            yield UnusedRule(line.text, line.source, _reason(line, run, is_known=bool(of_cases)))


def _is_for(line: RuleLine, other: RunSeries, run: RunSeries) -> bool:
    return not line.is_of_profile or other.benchmark_type == run.benchmark_type


def _cases(line: RuleLine, run: RunSeries) -> list[str]:
    """Return the cases of a run that a line is for."""
    return [name for name in run.cases if line.case in (None, name)]


def _reason(line: RuleLine, run: RunSeries, *, is_known: bool) -> str:
    metric, cases = line.rule.metric, listed(list(run.cases), _MOST_CASES) or "none"
    if line.case is None:
        return f"no case has {metric}; cases of this run: {cases}"
    if is_known:
        return f"case {line.case} has no {metric}"
    return f"no case {line.case} has run; cases of this run: {cases}"
