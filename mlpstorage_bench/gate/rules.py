"""What is asked of each metric: which way is worse, how much matters, what it must reach.

A rule is a line: `METRIC: TEXT` for every case, or `CASE/METRIC: TEXT` for one. TEXT has, separated
by commas, what applies:

- `-10%`: less is worse, and a change of 10 % matters; `+10%`: more is worse
- `>= 3 GiB/s`, `<= 20 ms`: what the metric must reach, whatever it was before
- `off`: the metric is not looked at

Later rules win over earlier ones, part by part; those for one case over those for all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mlpstorage_bench.errors import InvalidInputError, nearest
from mlpstorage_bench.gate.comparison import Criterion
from mlpstorage_bench.history.units import unit_of

RULE_OPTION = "--mlps-gate-rule"
_ACCEPTED = (
    "METRIC: -10% (less is worse, 10 % matters), +10% (more is worse), '>= 3 GiB/s', '<= 20 ms', "
    "off; CASE/METRIC for one case; several parts with commas between"
)
_LINE = re.compile(r"(?:(?P<case>[^/:\s]+)/)?(?P<metric>[A-Za-z0-9_]+)\s*:\s*(?P<text>.+)")
_EFFECT = re.compile(r"(?P<sign>[+\N{MINUS SIGN}-])\s*(?P<percent>\d+(\.\d+)?)\s*%")
_LIMIT = re.compile(r"(?P<way><=|>=|≤|≥)\s*(?P<value>\d+(\.\d+)?(e[+-]?\d+)?)\s*(?P<unit>\S.*)?")
_SCALE = {
    ("MiB/s", "GiB/s"): 1 / 1024,
    ("GB/s", "GiB/s"): 1e9 / 2**30,
    ("MB/s", "GiB/s"): 1e6 / 2**30,
    ("us", "ms"): 1e-3,
    ("µs", "ms"): 1e-3,
    ("s", "ms"): 1e3,
    ("MiB", "bytes"): 2**20,
    ("GiB", "bytes"): 2**30,
    ("%", "ratio"): 0.01,
}
"""Unit as typed, unit of the metric → factor."""


@dataclass(frozen=True)
class Limit:
    """What a metric must reach, in its own unit."""

    at_least: bool
    value: float

    def holds(self, measured: float) -> bool:
        """Whether a measured value reaches it."""
        return measured >= self.value if self.at_least else measured <= self.value

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.value:g}"


@dataclass(frozen=True)
class Rule:
    """What is asked of one metric."""

    metric: str
    higher_is_better: bool | None = None
    """None: changes do not matter, only the limit."""
    smallest_effect: float | None = None
    """The smallest relative change that matters."""
    limit: Limit | None = None

    @property
    def unit(self) -> str:
        """Of the metric."""
        return unit_of(self.metric)

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
    """A line as it was parsed: what it says of a metric, in which case."""

    case: str | None
    rule: Rule
    is_off: bool = False


@dataclass(frozen=True)
class Rules:
    """All that was said, in order."""

    lines: tuple[RuleLine, ...]

    def of_case(self, case: str) -> dict[str, Rule]:
        """Return what is asked in a case, by metric."""
        asked: dict[str, Rule] = {}
        for scope in (None, case):
            for line in self.lines:
                if line.case == scope:
                    _apply(line, asked)
        return {name: rule for name, rule in asked.items() if rule.criterion or rule.limit}


def _apply(line: RuleLine, asked: dict[str, Rule]) -> None:
    said, name = line.rule, line.rule.metric
    before = asked.get(name, Rule(name))
    if line.is_off:
        asked.pop(name, None)
        return
    if said.smallest_effect is not None:
        before = replace(
            before, higher_is_better=said.higher_is_better, smallest_effect=said.smallest_effect
        )
    asked[name] = replace(before, limit=said.limit or before.limit)


def parse_rules(
    defaults: Mapping[str, str],
    texts: Iterable[tuple[str, str]],
    synonyms: Mapping[str, str],
    known: Iterable[str],
) -> Rules:
    """Return the rules: a type's defaults, then lines with the source of each.

    `synonyms` are other names of metrics; `known` are those that there are. InvalidInputError for a
    line that is no rule, or a metric that is not known.
    """
    names = {*known, *defaults}
    lines = [
        _parse(RULE_OPTION, f"{metric}: {text}", {}, names) for metric, text in defaults.items()
    ]
    lines += [_parse(source, text, synonyms, names) for source, text in texts]
    return Rules(tuple(lines))


def _parse(source: str, line: str, synonyms: Mapping[str, str], known: set[str]) -> RuleLine:
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise InvalidInputError(source, line, _ACCEPTED)
    metric = synonyms.get(match["metric"], match["metric"])
    if metric not in known:
        names = sorted({*known, *synonyms})
        raise InvalidInputError(
            source, line, "a metric that runs have", hint=nearest(match["metric"], names)
        )
    rule = Rule(metric)
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


def _limit(source: str, line: str, match: re.Match[str], metric: str) -> Limit:
    unit, given = unit_of(metric), match["unit"] or ""
    factor = 1.0 if given in ("", unit) else _SCALE.get((given, unit))
    if factor is None:
        others = [typed for typed, own in _SCALE if own == unit]
        raise InvalidInputError(
            source, line, f"{', '.join([unit, *others]) or 'no unit'}, the unit of {metric}"
        )
    return Limit(match["way"] in (">=", "≥"), float(match["value"]) * factor)
