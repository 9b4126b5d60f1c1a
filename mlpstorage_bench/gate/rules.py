"""Rules for metrics: the direction that is worse, the smallest change that matters, and limits.

A rule is a line: `METRIC: TEXT` for every case, or `CASE/METRIC: TEXT` for one. TEXT has one or
more of these, separated by commas:

- `-10%`: less is worse, and a change of 10 % matters; `+10%`: more is worse
- `>= 3 GiB/s`, `<= 20 ms`: a limit that the metric must reach, whatever its baseline
- `off`: the metric is not judged

A later rule replaces an earlier one part by part; a rule for one case replaces one for all cases.
A metric's declaration has its default rule, its unit and its aliases.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlpstorage_bench.errors import InvalidInputError, nearest
from mlpstorage_bench.gate.comparison import Criterion
from mlpstorage_bench.metric.declaration import Metric

RULE_OPTION = "--mlps-gate-rule"
PROFILE_SOURCE = "gate, in the profile"
"""Source of the rules of a profile."""
_ACCEPTED = (
    "METRIC: -10% (less is worse, 10 % matters), +10% (more is worse), '>= 3 GiB/s', '<= 20 ms', "
    "off; CASE/METRIC for one case; several parts with commas between"
)
_LINE = re.compile(r"(?:(?P<case>[^/:\s]+)/)?(?P<metric>[A-Za-z0-9_]+)\s*:\s*(?P<text>.+)")
_EFFECT = re.compile(r"(?P<sign>[+\N{MINUS SIGN}-])\s*(?P<percent>\d+(\.\d+)?)\s*%")
_LIMIT = re.compile(r"(?P<way><=|>=|≤|≥)\s*(?P<value>\d+(\.\d+)?(e[+-]?\d+)?)\s*(?P<unit>\S.*)?")


@dataclass(frozen=True)
class Limit:
    """Limit that a metric must reach, in its own unit."""

    at_least: bool
    value: float

    def holds(self, measured: float) -> bool:
        """Whether a measured value reaches it."""
        return measured >= self.value if self.at_least else measured <= self.value

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.value:g}"


@dataclass(frozen=True)
class Rule:
    """Rule for one metric."""

    metric: str
    """Its name."""
    higher_is_better: bool | None = None
    """None: changes do not matter, only the limit."""
    smallest_effect: float | None = None
    """The smallest relative change that matters."""
    limit: Limit | None = None
    unit: str = ""
    """The metric's."""

    @property
    def criterion(self) -> Criterion | None:
        """The statistical criterion; None if changes do not matter."""
        if self.higher_is_better is None or self.smallest_effect is None:
            return None
        return Criterion(self.higher_is_better, self.smallest_effect)

    def __str__(self) -> str:
        parts = []
        if self.criterion is not None:
            sign = "-" if self.higher_is_better else "+"
            parts.append(f"{sign}{self.criterion.smallest_effect * 100:g} %")
        if self.limit is not None:
            parts.append(f"{self.limit} {self.unit}".rstrip())
        return ", ".join(parts)


@dataclass(frozen=True)
class RuleLine:
    """One parsed line."""

    case: str | None
    """The only case of the rule; None for every case."""
    rule: Rule
    is_off: bool = False
    source: str = ""
    """Its option, or the profile; '' for the default of a metric."""
    text: str = ""
    """The line as typed."""

    @property
    def is_default(self) -> bool:
        """Whether it is a default: then nobody asked for it."""
        return not self.source

    @property
    def is_of_profile(self) -> bool:
        """Whether it is a rule of a profile, which is for one benchmark type."""
        return self.source == PROFILE_SOURCE


@dataclass(frozen=True)
class Rules:
    """All lines in order."""

    lines: tuple[RuleLine, ...]

    @property
    def metrics(self) -> frozenset[str]:
        """Metrics with a rule, in any case."""
        return frozenset(line.rule.metric for line in self.lines if not line.is_off)

    def of_case(self, case: str) -> dict[str, Rule]:
        """Return the rules of a case by metric."""
        asked: dict[str, Rule] = {}
        for scope in (None, case):
            for line in self.lines:
                if line.case == scope:
                    _apply(line, asked)
        return {name: rule for name, rule in asked.items() if rule.criterion or rule.limit}


def _apply(line: RuleLine, asked: dict[str, Rule]) -> None:
    new, name = line.rule, line.rule.metric
    before = asked.get(name, Rule(name, unit=new.unit))
    if line.is_off:
        asked.pop(name, None)
        return
    if new.smallest_effect is not None:
        before = replace(
            before, higher_is_better=new.higher_is_better, smallest_effect=new.smallest_effect
        )
    asked[name] = replace(before, limit=new.limit or before.limit)


def parse_rules(
    metrics: Sequence[Metric[Any]],
    texts: Iterable[tuple[str, str]],
    of_others: Sequence[Metric[Any]] = (),
) -> Rules:
    """Return the rules: the defaults of a type's metrics, then lines with the source of each.

    A line for a metric that only other types have (`of_others`) is no rule of this type.
    InvalidInputError for a line that is no rule, or a metric that no type has.
    """
    numbers = [metric for metric in metrics if metric.unit.is_number]
    known = {name: metric for metric in numbers for name in (metric.name, *metric.aliases)}
    lines = [
        _parse(RULE_OPTION, f"{metric.name}: {metric.gate}", known)
        for metric in numbers
        if metric.gate
    ]
    foreign = {name for metric in of_others for name in (metric.name, *metric.aliases)}
    lines += [
        replace(_parse(source, text, known), source=source, text=text.strip())
        for source, text in texts
        if _metric_in(text) not in foreign - known.keys()
    ]
    return Rules(tuple(lines))


def _metric_in(line: str) -> str:
    """Return the metric that a line names; '' if it is no rule."""
    match = _LINE.fullmatch(line.strip())
    return "" if match is None else match["metric"]


def _parse(source: str, line: str, known: Mapping[str, Metric[Any]]) -> RuleLine:
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise InvalidInputError(source, line, _ACCEPTED)
    metric = known.get(match["metric"])
    if metric is None:
        raise InvalidInputError(
            source, line, "a metric that runs have", hint=nearest(match["metric"], sorted(known))
        )
    rule = Rule(metric.name, unit=metric.unit.name)
    for part in match["text"].split(","):
        text = part.strip()
        if text == "off":
            return RuleLine(match["case"], rule, is_off=True)
        effect, limit = _EFFECT.fullmatch(text), _LIMIT.fullmatch(text)
        if effect is not None:
            share = float(effect["percent"]) / 100
            if not 0 < share < 1:
                raise InvalidInputError(source, line, "a change above 0 % and below 100 %")
            rule = replace(rule, higher_is_better=effect["sign"] != "+", smallest_effect=share)
        elif limit is not None:
            rule = replace(rule, limit=_limit(source, line, limit, metric))
        else:
            raise InvalidInputError(source, line, _ACCEPTED, hint=f"{text!r} is none of these")
    return RuleLine(match["case"], rule)


def _limit(source: str, line: str, match: re.Match[str], metric: Metric[Any]) -> Limit:
    unit, given = metric.unit, match["unit"] or ""
    factor = 1.0 if given in ("", unit.name) else unit.accepted.get(given)
    if factor is None:
        accepted = ", ".join(filter(None, [unit.name, *unit.accepted])) or "no unit"
        raise InvalidInputError(source, line, f"{accepted}, the unit of {metric.name}")
    value = float(match["value"]) * factor
    if not math.isfinite(value):
        raise InvalidInputError(source, line, "a finite number")
    return Limit(match["way"] in (">=", "≥"), value)
