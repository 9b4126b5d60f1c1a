"""Charts of metrics over runs: spread of trials, verdicts of the gate, and changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from mlpstorage_bench.report.charts.line_chart import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Axes,
    Line,
    line_chart,
)
from mlpstorage_bench.report.charts.marks import Box, Curve, Figure, KeyEntry, Label, path_of
from mlpstorage_bench.report.charts.scale import Scale, between, number_text, percent_text
from mlpstorage_bench.report.tables import Section
from mlpstorage_bench.report.trend_chart import Point
from mlpstorage_bench.report.trends import Trend
from mlpstorage_bench.units import counted

MOST_RUNS = 120
"""Runs that are drawn: the newest."""
_DATE, _TIME = "%Y-%m-%d", "%Y-%m-%d %H:%M"
_SHORT = timedelta(days=2)
"""Time between the first run and the last below which days alone could be equal."""
_AXES = "Axes of these charts do not begin at 0."
_BREAKS = "Lines are broken where system, storage or workload differ."
_VERDICTS = {"regressed": "worse", "improved": "better"}
"""Verdicts of the gate that have a mark of their own, and the mark's class."""
_MARK = 7.0
SPARKS = "▁▂▃▄▅▆▇█"
MOST_SPARKS = 40


def trend_figures(
    trends: Sequence[Trend], verdicts: Mapping[tuple[str, str], Mapping[str, str]]
) -> tuple[Figure, ...]:
    """Return the chart of each trend; the first one says how all of them are read."""
    figures = [trend_figure(one, verdicts.get((one.case, one.metric.name), {})) for one in trends]
    is_broken = any(not one.is_one_series for one in trends)
    return tuple(
        replace(one, remarks=[*one.remarks, f"{_AXES} {_BREAKS}" if is_broken else _AXES])
        if number == 0
        else one
        for number, one in enumerate(figures)
    )


def trend_figure(trend: Trend, verdicts: Mapping[str, str]) -> Figure:
    """Return the chart of a metric over runs; `verdicts` are the gate's by run."""
    first = max(0, len(trend.points) - MOST_RUNS)
    points = trend.points[first:]
    unit = trend.metric.unit
    title = f"{trend.case}: {trend.metric.title}"
    low, high = min(one.low for one in points), max(one.high for one in points)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    x = Scale(-0.5, len(points) - 0.5, LEFT, RIGHT, ())
    y = between(low - margin, high + margin, BOTTOM, TOP)
    lines = [Line(_in_words(trend), "c1", _broken(points))]
    chart = line_chart(
        title,
        _summary(trend, points),
        lines,
        Axes(x, y, "", unit.name if unit.kind == "number" else "", ()),
        Section(title, _HEADER, _rows(points, verdicts)),
        remarks=_remarks(trend, points, first),
    )
    curves = [
        Curve(path_of([(x.at(n), y.at(one.low)), (x.at(n), y.at(one.high))]), "spread c1")
        for n, one in enumerate(points)
        if one.high > one.low
    ]
    marks: list[Box] = []
    for number, one in enumerate(points):
        style = _VERDICTS.get(verdicts.get(one.run_id, ""))
        if style is not None:
            corner = (x.at(number) - _MARK / 2, y.at(one.value) - _MARK / 2)
            marks.append(Box(*corner, _MARK, _MARK, f"dot {style}", verdicts[one.run_id]))
    curves += [
        Curve(path_of([(x.at(at - 0.5), TOP), (x.at(at - 0.5), BOTTOM)]), style)
        for at, style in _rules(trend, points, first)
    ]
    form = _TIME if points[-1].started - points[0].started < _SHORT else _DATE
    labels = [Label(LEFT, BOTTOM + 16, points[0].started.strftime(form))]
    if len(points) > 1:
        labels.append(Label(RIGHT, BOTTOM + 16, points[-1].started.strftime(form), "end"))
    key = [
        *chart.key,
        *(
            KeyEntry(style, f"{verdict} (gate)")
            for verdict, style in _VERDICTS.items()
            if any(box.title == verdict for box in marks)
        ),
    ]
    return replace(
        chart,
        boxes=(*chart.boxes, *marks),
        curves=(*curves, *chart.curves),
        labels=(*chart.labels, *labels),
        key=key,
    )


def sparkline(points: Sequence[Point]) -> str:
    """Return the newest values as characters, from the least to the greatest of them."""
    values = [point.value for point in points][-MOST_SPARKS:]
    low, high = min(values), max(values)
    if high <= low:
        return SPARKS[len(SPARKS) // 2] * len(values)
    steps = len(SPARKS) - 1
    return "".join(SPARKS[round((value - low) / (high - low) * steps)] for value in values)


_HEADER = ("run", "started", "value", "least of trials", "greatest of trials", "gate")


def _rows(points: Sequence[Point], verdicts: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            one.run_id,
            one.started.strftime(_TIME),
            number_text(one.value),
            number_text(one.low),
            number_text(one.high),
            verdicts.get(one.run_id, "-"),
        )
        for one in reversed(points)
    )


def _broken(points: Sequence[Point]) -> list[tuple[float, float | None]]:
    """Return the points of the line, with a break where runs are not comparable."""
    line: list[tuple[float, float | None]] = []
    for number, one in enumerate(points):
        if number and points[number - 1].series != one.series:
            line.append((number - 0.5, None))
        line.append((float(number), one.value))
    return line


def _rules(trend: Trend, points: Sequence[Point], first: int) -> list[tuple[float, str]]:
    """Return the positions of vertical lines, with their classes."""
    breaks = [
        (float(n), "grid")
        for n in range(1, len(points))
        if points[n].series != points[n - 1].series
    ]
    changes = [
        (float(one.number - first), f"change {'worse' if trend.is_worse(one) else 'better'}")
        for one in trend.changes
        if one.number > first
    ]
    return [*breaks, *changes]


def _in_words(trend: Trend) -> str:
    return "mean of the trials, with their range" if trend.metric.has_spread else "all trials"


def _summary(trend: Trend, points: Sequence[Point]) -> str:
    values = [one.value for one in points]
    text = (
        f"{counted(len(points), 'run')}: {number_text(min(values))} to {number_text(max(values))} "
        f"{trend.metric.unit.name}, the last {number_text(values[-1])}"
    )
    return "; ".join([text, *change_texts(trend)])


def change_texts(trend: Trend) -> list[str]:
    """Return a sentence for each change."""
    return [
        f"Change of {percent_text(one.share)} with run {one.point.run_id} "
        f"({number_text(one.before)} to {number_text(one.after)})"
        for one in trend.changes
    ]


def _remarks(trend: Trend, points: Sequence[Point], first: int) -> list[str]:
    remarks = [f"{text}." for text in change_texts(trend)]
    if first:
        remarks.append(f"The newest {len(points)} of {len(trend.points)} runs.")
    return [" ".join(remarks)] if remarks else []
