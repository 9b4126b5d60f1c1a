"""Curves over a parameter: bandwidth, requests and latency of cases that differ in it alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlpstorage_bench.benchmark_type.figures import CaseFigures
from mlpstorage_bench.metric.declaration import Description, Shown
from mlpstorage_bench.metric.values import Values, number_of
from mlpstorage_bench.report.charts.bar_chart import COLORS
from mlpstorage_bench.report.charts.line_chart import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Axes,
    Line,
    line_chart,
)
from mlpstorage_bench.report.charts.marks import Figure
from mlpstorage_bench.report.charts.scale import between, linear, logarithmic, number_text
from mlpstorage_bench.report.metric_cells import narrow_cell
from mlpstorage_bench.report.tables import Section
from mlpstorage_bench.results.metadata_parts import is_measurement
from mlpstorage_bench.units import GIB_PER_S, MILLISECONDS, PER_S, Unit

LEAST_POINTS = 3
_LOGARITHMIC_FROM = 16
"""Greatest value ÷ least from which the axis is logarithmic."""
_MOST_SWEEPS = 6
_WITHOUT_EFFECT = frozenset({"title", "trace_out"})
_TITLES: tuple[tuple[str, Unit], ...] = (
    ("Bandwidth", GIB_PER_S),
    ("Requests", PER_S),
    ("Latency", MILLISECONDS),
)


@dataclass(frozen=True)
class Sweep:
    """Cases that differ in one parameter alone."""

    parameter: str
    cases: Sequence[tuple[float, str]]
    """Value and name of each case, in order of the values."""


def sweeps_of(figures: Mapping[str, CaseFigures]) -> list[Sweep]:
    """Return the groups of at least three cases that differ in one numeric parameter alone."""
    parameters = {
        name: {key: value for key, value in one.parameters.items() if key not in _WITHOUT_EFFECT}
        for name, one in figures.items()
        if one.parameters
    }
    names = dict.fromkeys(key for one in parameters.values() for key in one)
    sweeps = []
    for parameter in names:
        groups: dict[str, dict[float, str]] = {}
        for case, one in parameters.items():
            value = _drawable(one.get(parameter))
            if value is not None:
                others = {key: other for key, other in one.items() if key != parameter}
                alike = json.dumps(others, sort_keys=True, default=str)
                groups.setdefault(alike, {})[value] = case
        sweeps += [
            Sweep(parameter, sorted(group.items()))
            for group in groups.values()
            if len(group) >= LEAST_POINTS
        ]
    return sweeps[:_MOST_SWEEPS]


def sweep_charts(
    sweep: Sweep, values: Mapping[str, Values], described: Mapping[str, Description]
) -> Iterator[Figure]:
    """Yield bandwidth, requests and latency over the parameter, as far as they were measured."""
    points = [(value, values[case]) for value, case in sweep.cases if case in values]
    if len(points) < LEAST_POINTS:
        return
    for word, unit in _TITLES:
        metrics = [
            one
            for one in described.values()
            if one.unit is unit and one.shown >= Shown.HEADLINE
            if any(_drawable(case.get(one.name)) is not None for _, case in points)
        ][: len(COLORS)]
        if metrics:
            yield _chart(f"{word} against {sweep.parameter}", sweep, points, metrics, described)


def _drawable(value: object) -> float | None:
    """Return a value that a measurement can have; None for others, which files can have."""
    number = number_of(value)
    return number if number is not None and is_measurement(number) else None


def _chart(
    title: str,
    sweep: Sweep,
    points: Sequence[tuple[float, Values]],
    metrics: Sequence[Description],
    described: Mapping[str, Description],
) -> Figure:
    lines = [
        Line(
            metric.title,
            style,
            [(value, _drawable(case.get(metric.name))) for value, case in points],
        )
        for style, metric in zip(COLORS, metrics, strict=False)
    ]
    at = [value for value, _ in points]
    if at[0] > 0 and at[-1] / at[0] >= _LOGARITHMIC_FROM:
        x = logarithmic(at, LEFT, RIGHT)
    else:
        x = between(at[0], at[-1], LEFT, RIGHT)
    measured = [value for line in lines for _, value in line.points if value is not None]
    labels = [(tick, number_text(tick)) for tick in x.ticks]
    y = linear(measured, BOTTOM, TOP)
    rows = tuple(
        (number_text(value), *(narrow_cell(metric, case, described) for metric in metrics))
        for value, case in points
    )
    words = (
        f"{line.name}: {number_text(known[0])} to {number_text(known[-1])}"
        for line in lines
        if (known := [value for _, value in line.points if value is not None])
    )
    return line_chart(
        title,
        f"{sweep.parameter} {number_text(at[0])} to {number_text(at[-1])}; {'; '.join(words)}",
        lines,
        Axes(x, y, sweep.parameter, metrics[0].unit.name, labels),
        Section(title, (sweep.parameter, *(metric.title for metric in metrics)), rows),
    )
