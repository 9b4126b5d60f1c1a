"""Metrics that users' plugins declare: their check, and a guard around their formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import cast

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.escaping import shortened
from mlpstorage_bench.metric.declaration import (
    AcrossTrials,
    AnyMetric,
    Derivation,
    Measured,
    Metric,
    declared_in,
)
from mlpstorage_bench.metric.values import Values, as_json
from mlpstorage_bench.paths import slugify
from mlpstorage_bench.redaction.text import redact_text
from mlpstorage_bench.results.json_files import copied_json
from mlpstorage_bench.results.metadata_parts import is_measurement

USER_ERRORS = (Exception, SystemExit, pytest.fail.Exception, pytest.skip.Exception)
"""Errors of a user's function that do not end the session: all but an interrupt."""
_ACCEPTED = "a list of classes that derive from Measured and declare metrics"


def checked_metrics(
    source: str, groups: object, known: Iterable[AnyMetric]
) -> tuple[AnyMetric, ...]:
    """Return the metrics of classes that a hook returned; InvalidInputError for other values.

    `source` is the hook and its plugin, and `known` are the metrics that exist already.
    """
    if not isinstance(groups, list | tuple):
        raise InvalidInputError(source, groups, _ACCEPTED)
    for group in groups:
        if not (isinstance(group, type) and issubclass(group, Measured) and declared_in(group)):
            raise InvalidInputError(source, group, _ACCEPTED)
    declared = declared_in(*groups)
    taken = {name for metric in known for name in _names_of(metric)}
    for metric in declared:
        names = _names_of(metric)
        if taken.intersection(names) or slugify(metric.name) != metric.name:
            raise InvalidInputError(
                source, metric.name, "a name of its own: another metric has this one"
            )
        taken.update(names)
    return declared


def _names_of(metric: AnyMetric) -> list[str]:
    """Return the names under which results have a metric and its spread."""
    ends = ("", "_min", "_max") if metric.across_trials.has_spread else ("",)
    return [f"{metric.name}{end}" for end in ends]


def guarded(metric: AnyMetric, report: Callable[[str], None]) -> AnyMetric:
    """Return a metric whose formula loses no result: after an error, it has no value.

    `report` receives what went wrong, in words.
    """

    def derived(trial: object) -> object:
        return attempt(lambda: metric.of.of(trial))

    def combined(name: str, trials: Sequence[Values]) -> object:
        return attempt(lambda: metric.across_trials.combine(name, trials))

    def attempt(formula: Callable[[], object]) -> object:
        try:
            return _checked(formula())
        except USER_ERRORS as error:
            text = shortened(redact_text(f"{type(error).__name__}: {error}"))
            report(f"declares {metric.name}, whose formula failed: {text}")
            return None

    def _checked(value: object) -> object:
        copied_json(as_json({metric.name: value}))
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if metric.unit.is_number and value is not None and not is_number:
            raise TypeError(f"{value!r} is no number of {metric.unit.name or 'things'}")
        if is_number and not is_measurement(cast("float", value)):
            raise ValueError(f"{value} is no measurement: readers would refuse the run")
        return value

    rule = metric.across_trials
    parts = {one.name: getattr(metric, one.name) for one in fields(metric) if one.init}
    copy: AnyMetric = Metric(
        **{
            **parts,
            "of": Derivation(metric.of.rule, derived),
            "across_trials": AcrossTrials(
                rule.rule, combined, rule.has_spread, rule.is_pooled, rule.is_of_cases
            ),
        }
    )
    copy.name = metric.name
    return copy
