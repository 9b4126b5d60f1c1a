"""Bar charts: amounts side by side, and wholes divided into parts."""

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
from mlpstorage_bench.report.charts.scale import linear, number_text
from mlpstorage_bench.report.tables import Section

COLORS = ("c1", "c2", "c3", "c4", "c5", "c6")
_LEFT, _RIGHT = 4.0, WIDTH - 8.0
_VALUE_SPACE = 96.0
_VALUE_SPACE_BEHIND_MARK = 190.0
_BAR, _GAP, _NAME = 13.0, 3.0, 16.0
_MOST_NAME = 52
_WIDTH_OF_LETTER = 7.2
_LEAST_SHARE = 0.005
"""Smallest part of a whole that is drawn."""


@dataclass(frozen=True)
class Amount:
    """One bar of a row."""

    value: float
    style: str
    text: str
    """The value with its unit, as it is written behind the bar."""
    low: float | None = None
    high: float | None = None
    """Ends of its spread; None without one."""


@dataclass(frozen=True)
class Row:
    """A name with its bars."""

    name: str
    amounts: Sequence[Amount]


def bar_chart(
    title: str,
    summary: str,
    rows: Sequence[Row],
    key: Sequence[KeyEntry],
    table: Section,
    *,
    mark: tuple[float, str] | None = None,
    remarks: Sequence[str] = (),
) -> Figure:
    """Return horizontal bars, with a vertical line at a `mark` that all are compared with."""
    ends = [end for row in rows for one in row.amounts for end in (one.value, one.high or 0.0)]
    space = _VALUE_SPACE_BEHIND_MARK if mark else _VALUE_SPACE
    scale = linear([*ends, *([mark[0]] if mark else [])], _LEFT, _RIGHT - space)
    boxes: list[Box] = []
    curves: list[Curve] = []
    labels: list[Label] = []
    y = 16.0 if mark else 4.0
    for row in rows:
        labels.append(Label(_LEFT, y + 11, short_name(row.name)))
        y += _NAME
        for one in row.amounts:
            end = scale.at(one.value)
            boxes.append(Box(_LEFT, y, max(end - _LEFT, 1.0), _BAR, f"fill {one.style}", one.text))
            text_at = max(end, scale.at(one.high or 0.0), scale.at(mark[0]) if mark else end)
            if one.low is not None and one.high is not None and one.high > one.low:
                low, high, middle = scale.at(one.low), scale.at(one.high), y + _BAR / 2
                curves.append(Curve(path_of([(low, middle), (high, middle)]), "whisker"))
            most = int((WIDTH - text_at - 5) / _WIDTH_OF_LETTER)
            labels.append(Label(text_at + 5, y + 10.5, short_name(one.text, most)))
            y += _BAR + _GAP
        y += 5
    if mark:
        x = scale.at(mark[0])
        curves.append(Curve(path_of([(x, 14), (x, y)]), "mark"))
        labels.append(Label(x, 11, mark[1], "middle", "dim"))
    return Figure(title, summary, y + 2, table, boxes, curves, labels, tuple(key), tuple(remarks))


def share_chart(
    title: str,
    summary: str,
    wholes: Sequence[tuple[str, Sequence[tuple[str, float]]]],
    table: Section,
    remarks: Sequence[str] = (),
) -> Figure:
    """Return a bar for each whole, all of one length and divided by their parts' shares."""
    names = list(dict.fromkeys(name for _, parts in wholes for name, _ in parts))
    colors = {name: COLORS[number % len(COLORS)] for number, name in enumerate(names)}
    boxes: list[Box] = []
    labels: list[Label] = []
    y = 4.0
    for of, parts in wholes:
        labels.append(Label(_LEFT, y + 11, short_name(of)))
        y += _NAME
        total = sum(amount for _, amount in parts)
        x = _LEFT
        for name, amount in parts:
            share = amount / total if total else 0.0
            width = share * (_RIGHT - _LEFT)
            if share >= _LEAST_SHARE:
                tip = f"{name}: {share:.0%}"
                boxes.append(Box(x, y, width, _BAR + 5, f"fill {colors[name]}", tip))
            x += width
        y += _BAR + 5 + 8
    first = dict(wholes[0][1]) if len(wholes) == 1 else {}
    whole = sum(first.values())
    key = [
        KeyEntry(colors[name], f"{name} {first[name] / whole:.0%}" if whole else name)
        for name in names
    ]
    return Figure(title, summary, y, table, boxes, (), labels, key, tuple(remarks))


def short_name(name: str, most: int = _MOST_NAME) -> str:
    """Return a name that fits above a bar, with its end left out where necessary."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def text_of(value: float, unit: str) -> str:
    """Return a number with its unit."""
    return f"{number_text(value)} {unit}".rstrip()
