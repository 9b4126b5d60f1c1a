"""Declarations of metrics: pooling, tables, gate rules and docs follow from one declaration each.

A benchmark type declares its metrics as attributes of classes that derive from `Measured`:

    class Bandwidth(Measured):
        read_gib_s = Metric(
            "Bandwidth of reads from storage.",
            GIB_PER_S,
            RANKS.total(lambda rank: rank.read_bytes / rank.window_s / GIB),
            MEAN_WITH_SPREAD,
            title="read GiB/s", better="higher", gate="-10%", shown=Shown.LISTS,
        )

The attribute's name is the metric's name. On an object it is the value, with its type; on the class
it is the declaration. Pooling over ranks and trials, rules of the gate, units, columns of tables
and docs/metrics.md follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Generic, Literal, Self, TypeVar, cast, overload

from mlpstorage_bench.metric.values import Values, numbers_in
from mlpstorage_bench.units import Unit

V = TypeVar("V")
Better = Literal["higher", "lower"]


class Shown(IntEnum):
    """Places where people see a metric; each includes those before it."""

    DETAIL = 0
    """JSON, the page of one run, trends."""
    REPORT = 1
    """The table of results in reports."""
    HEADLINE = 2
    """The terminal's table at the end of a session."""
    LISTS = 3
    """Lists of runs."""


@dataclass(frozen=True)
class Derivation(Generic[V]):
    """Derivation of a trial's value from its ranks' measurements."""

    rule: str
    """Rule that combines values over ranks, in words."""
    of: Callable[[Any], V]
    """Function of all ranks' measurements, in the benchmark type's own form."""


@dataclass(frozen=True)
class AcrossTrials:
    """Rule that combines the values of a case's trials to one."""

    rule: str
    """The rule, in words."""
    combine: Callable[[str, Sequence[Values]], object]
    """Function of the metric's name and the metrics of each trial."""
    has_spread: bool = False
    """Whether a case also has the least and the greatest value, as NAME_min and NAME_max."""
    is_pooled: bool = False
    """Whether the case's value is derived from the samples of all trials together."""
    is_of_cases: bool = True
    """Whether a case has the metric; otherwise only trials have it."""


@dataclass(frozen=True)
class Description:
    """Part of a declaration that results carry, for readers that do not have the benchmark type."""

    name: str
    title: str
    """Heading of a column."""
    unit: Unit
    better: Better | None = None
    shown: Shown = Shown.DETAIL
    has_spread: bool = False
    beside: str = ""
    """Name of the metric whose value stands beside this one's in tables."""
    beside_from: float | None = None
    """Least value from which it stands there, as an upper bound; None: always, as it is."""
    explained_by: str = ""
    """Name of the metric that has the reason for this one's value."""
    meaning: str = ""
    """One or more sentences, with the formula; '' if nobody stated it."""

    def to_json(self) -> dict[str, object]:
        """Return the description for JSON, without fields at their defaults."""
        parts = {
            "title": "" if self.title == default_title(self.name) else self.title,
            "better": self.better,
            "shown": self.shown.name.lower() if self.shown else "",
            "has_spread": self.has_spread,
            "beside": self.beside,
            "beside_from": self.beside_from,
            "explained_by": self.explained_by,
            "meaning": self.meaning,
        }
        return {"unit": self.unit.name, **{name: part for name, part in parts.items() if part}}


def default_title(name: str) -> str:
    """Return the title of a metric that declares none: its name in words."""
    return name.replace("_", " ")


@dataclass(eq=False)
class Metric(Generic[V]):
    """Declaration of one metric."""

    meaning: str
    """One or more sentences."""
    unit: Unit
    of: Derivation[V]
    """The value of one trial."""
    across_trials: AcrossTrials
    formula: str = ""
    """Formula, if the meaning does not state it."""
    title: str = ""
    """Heading of columns; the name in words unless set."""
    better: Better | None = None
    gate: str = ""
    """Rule that the gate applies unless the user says otherwise, like `-10%`; '' for none."""
    shown: Shown = Shown.DETAIL
    aliases: tuple[str, ...] = ()
    """Other names that the user may type."""
    legend: str = ""
    """Words below the terminal's table."""
    beside: str = ""
    """Name of the metric whose value stands beside this one's in tables."""
    beside_from: float | None = None
    """Least value from which it stands there, as an upper bound; None: always, as it is."""
    explained_by: str = ""
    """Name of the metric that has the reason for this one's value."""
    name: str = field(default="", init=False)
    """Name of the attribute."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Measured, owner: type) -> V: ...
    def __get__(self, instance: Measured | None, owner: type) -> Self | V:
        if instance is None:
            return self
        return cast(V, instance.values[self.name])  # its declaration made the value

    @property
    def description(self) -> Description:
        """The part of the declaration that results contain."""
        return Description(
            name=self.name,
            title=self.title or default_title(self.name),
            unit=self.unit,
            better=self.better,
            shown=self.shown,
            has_spread=self.across_trials.has_spread,
            beside=self.beside,
            beside_from=self.beside_from,
            explained_by=self.explained_by,
            meaning=f"{self.meaning} Formula: {self.formula}." if self.formula else self.meaning,
        )


AnyMetric = Metric[Any]
"""A metric with any type of value."""


@dataclass(frozen=True)
class Measured:
    """Base of classes that declare metrics, and of objects that have their values."""

    values: Values
    """Values by name, also of metrics that this class does not declare."""


def declared_in(*groups: type[Measured]) -> tuple[AnyMetric, ...]:
    """Return the metrics that classes declare, in order."""
    return tuple(
        attribute
        for group in groups
        for attribute in vars(group).values()
        if isinstance(attribute, Metric)
    )


def trial_values(metrics: Sequence[AnyMetric], trial: object) -> dict[str, object]:
    """Return the metrics of a trial, computed from its ranks' measurements."""
    return {metric.name: metric.of.of(trial) for metric in metrics}


def pooled_values(metrics: Sequence[AnyMetric], samples: object) -> dict[str, object]:
    """Return the metrics of a case that are derived from the samples of all its trials."""
    return {m.name: m.of.of(samples) for m in metrics if m.across_trials.is_pooled}


def case_values(
    metrics: Sequence[AnyMetric], trials: Sequence[Values], pooled: Values
) -> dict[str, object]:
    """Return the metrics of a case, combined from its trials' metrics and the pooled metrics."""
    return dict(_case_items(metrics, trials, pooled))


def _case_items(
    metrics: Sequence[AnyMetric], trials: Sequence[Values], pooled: Values
) -> Iterator[tuple[str, object]]:
    for metric in metrics:
        name, rule = metric.name, metric.across_trials
        if rule.is_pooled:
            yield name, pooled[name]
        elif rule.is_of_cases:
            yield name, rule.combine(name, trials)
        if rule.has_spread:
            values = numbers_in(trials, name)
            yield f"{name}_min", min(values, default=None)
            yield f"{name}_max", max(values, default=None)
