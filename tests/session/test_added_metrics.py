"""Metrics of users' plugins: what is refused, and formulas that fail."""

from __future__ import annotations

import math

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.benchmark import KV_CACHE
from mlpstorage_bench.metric.declaration import Derivation, Measured, Metric
from mlpstorage_bench.metric.rules import MEAN_WITH_SPREAD
from mlpstorage_bench.session.added_metrics import checked_metrics, guarded
from mlpstorage_bench.units import PER_S

SOURCE = "pytest_mlps_metrics of conftest.py"


def rate(value: object = 1.0) -> Metric[object]:
    def formula(_trial: object) -> object:
        if isinstance(value, BaseException):
            raise value
        return value

    return Metric("A rate.", PER_S, Derivation("sum", formula), MEAN_WITH_SPREAD)


class Chunks(Measured):
    """Chunks."""

    chunks_per_s = rate()


class Taken(Measured):
    """A name that exists."""

    read_gib_s = rate()


class SpreadTaken(Measured):
    """A name that the spread of a metric has."""

    read_gib_s_max = rate()


class OwnSpread(Measured):
    """A name that the spread of its own metric has."""

    chunks_per_s_min = rate()
    chunks_per_s = rate()


class Empty(Measured):
    """No metric."""


def test_classes_that_declare_metrics_are_accepted() -> None:
    (metric,) = checked_metrics(SOURCE, [Chunks], KV_CACHE.metrics)
    assert (metric.name, metric.unit) == ("chunks_per_s", PER_S)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (Chunks, "accepted: a list of classes that derive from Measured"),
        ([Chunks, "chunks"], "got 'chunks'; accepted: a list of classes"),
        ([Empty], "accepted: a list of classes .* declare metrics"),
        ([Taken], "got 'read_gib_s'; accepted: a name of its own"),
        ([SpreadTaken], "got 'read_gib_s_max'; accepted: a name of its own"),
        ([OwnSpread], "accepted: a name of its own"),
        ([Chunks, Chunks], "got 'chunks_per_s'; accepted: a name of its own"),
    ],
)
def test_other_values_are_refused_by_the_plugin_s_name(groups: object, message: str) -> None:
    with pytest.raises(
        InvalidInputError, match=f"^pytest_mlps_metrics of conftest.py: .*{message}"
    ):
        checked_metrics(SOURCE, groups, KV_CACHE.metrics)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        ("fast", "TypeError: 'fast' is no number of 1/s"),
        (math.nan, "ValueError: Out of range float values are not JSON compliant"),
        (SystemExit(3), "SystemExit: 3"),
        (pytest.fail.Exception("no"), "Failed: no"),
        (1e80, "ValueError: 1e+80 is no measurement"),
        (10**61, "ValueError: 1000"),
        (object(), "TypeError: Object of type object is not JSON serializable"),
    ],
)
def test_formula_that_fails_leaves_the_metric_without_a_value(value: object, problem: str) -> None:
    problems: list[str] = []
    metric = rate(value)
    metric.name = "chunks_per_s"
    safe = guarded(metric, problems.append)
    assert safe.of.of(None) is None
    assert safe.across_trials.combine(safe.name, [{safe.name: None}, {safe.name: 2.0}]) == 2.0
    (text,) = problems
    assert text.startswith(f"declares chunks_per_s, whose formula failed: {problem}")


def test_metric_that_works_keeps_value_and_declaration() -> None:
    safe = guarded(Chunks.chunks_per_s, pytest.fail)
    assert safe.of.of(None) == 1.0
    assert safe.description == Chunks.chunks_per_s.description
    assert safe.across_trials.has_spread
