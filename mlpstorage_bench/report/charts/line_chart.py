"""Line charts: values over time, over percentiles, or over runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlpstorage_bench.report.charts.marks import (
    WIDTH,
    Box,
    Curve,
    Figure,
    KeyEntry,
    Label,
    path_of,
)
from mlpstorage_bench.report.charts.scale import Scale, number_text
from mlpstorage_bench.report.tables import Section

HEIGHT = 232.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, WIDTH - 12.0, 26.0, HEIGHT - 34.0
"""Edges of the area in which lines are drawn."""
_FEW_POINTS = 40
"""Number of points up to which each has a dot."""
_DOT = 3.0
_HALF_LABEL = 30.0
"""Half the width of the longest label of the horizontal axis."""


@dataclass(frozen=True)
class Line:
    """One line; a point without a value interrupts it."""

    name: str
    style: str
    """Class of its colour, and `dashed` if it is of parts."""
    points: Sequence[tuple[float, float | None]]


@dataclass(frozen=True)
class Band:
    """A part of the horizontal axis with a background, and a label above it."""

    begin: float
    end: float
    label: str


@dataclass(frozen=True)
class Axes:
    """Both scales, with their titles."""

    x: Scale
    y: Scale
    x_title: str
    y_title: str
    x_labels: Sequence[tuple[float, str]]
    """Values of the horizontal axis that are labelled."""


def line_chart(
    title: str,
    summary: str,
    lines: Sequence[Line],
    axes: Axes,
    table: Section,
    bands: Sequence[Band] = (),
    remarks: Sequence[str] = (),
) -> Figure:
    """Return a line chart."""
    boxes = [_band(band, axes.x) for band in bands]
    curves: list[Curve] = []
    labels = [
        Label(
            (axes.x.at(band.begin) + axes.x.at(band.end)) / 2, TOP - 4, band.label, "middle", "dim"
        )
        for band in bands
        if band.label
    ]
    for tick in axes.y.ticks:
        y = axes.y.at(tick)
        curves.append(Curve(path_of([(LEFT, y), (RIGHT, y)]), "grid"))
        labels.append(Label(LEFT - 6, y + 4, number_text(tick), "end"))
    for value, text in axes.x_labels:
        x = axes.x.at(value)
        curves.append(Curve(path_of([(x, BOTTOM), (x, BOTTOM + 4)]), "axis"))
        if x + _HALF_LABEL > WIDTH:
            labels.append(Label(WIDTH - 1, BOTTOM + 16, text, "end"))
        else:
            labels.append(Label(x, BOTTOM + 16, text, "middle"))
    curves.append(Curve(path_of([(LEFT, BOTTOM), (RIGHT, BOTTOM)]), "axis"))
    labels += [
        Label(2, 12, axes.y_title, "start", "dim"),
        Label(RIGHT, HEIGHT - 4, axes.x_title, "end", "dim"),
    ]
    for line in lines:
        for part in _unbroken(line.points):
            placed = [(axes.x.at(x), axes.y.at(y)) for x, y in part]
            if len(placed) > 1:
                curves.append(Curve(path_of(placed), f"line {line.style}"))
            if len(line.points) <= _FEW_POINTS or len(placed) == 1:
                boxes += [_dot(x, y, line.style) for x, y in placed]
    key = [KeyEntry(line.style, line.name) for line in lines]
    return Figure(title, summary, HEIGHT, table, boxes, curves, labels, key, tuple(remarks))


def _band(band: Band, x: Scale) -> Box:
    begin, end = x.at(band.begin), x.at(band.end)
    return Box(begin, TOP, max(end - begin, 1.0), BOTTOM - TOP, "band")


def _dot(x: float, y: float, style: str) -> Box:
    color = style.partition(" ")[0]
    return Box(x - _DOT / 2, y - _DOT / 2, _DOT, _DOT, f"dot {color}")


def _unbroken(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    """Return the parts of a line between points without a value."""
    parts: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is None:
            parts.append([])
        else:
            parts[-1].append((x, y))
    return [part for part in parts if part]
