"""Chart of a metric over time in characters: a point for each run, a line for its trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mlpstorage_bench.units import counted

HEIGHT = 9
"""Lines between the greatest value and the least."""
POINT, SPREAD, BREAK = "●", "│", "┊"
_NARROWEST = 20
_DATE = "%Y-%m-%d %H:%M"


@dataclass(frozen=True)
class Point:
    """One run: its start, its value over all trials, and the least and greatest of its trials."""

    started: datetime
    run_id: str
    value: float
    low: float
    high: float
    series: int = 1
    """Runs with the same number are comparable."""


def trend_lines(title: str, points: Sequence[Point], width: int) -> list[str]:
    """Return a chart of points in order of time, with this width in columns.

    Each run has a column: time is not to scale. A dotted line separates runs that are not
    comparable. If there are more runs than columns, only the newest are shown, and the title says
    so.
    """
    low = min(point.low for point in points)
    high = max(point.high for point in points)
    middle = HEIGHT // 2
    labels = {middle: _label(high / 2 + low / 2)}
    if high > low:
        labels |= {0: _label(high), HEIGHT - 1: _label(low)}
    margin = max(map(len, labels.values()))
    most = max(_NARROWEST, width - margin - 2)
    shown = _newest(points, most)
    columns = _columns(shown, low, high)
    step = max(1, min(4, most // len(columns)))
    lines = [_title(title, points, shown)]
    for line in range(HEIGHT):
        cells = "".join(column[line].ljust(step) for column in columns)
        lines.append(f"{labels.get(line, ''):>{margin}} ┤{cells}".rstrip())
    lines.append(f"{'':>{margin}} └{'─' * (step * len(columns))}")
    first, last = (point.started.strftime(_DATE) for point in (shown[0], shown[-1]))
    between = max(3, step * len(columns) - len(first) - len(last))
    dates = first if len(shown) == 1 else f"{first}{' to '.center(between)}{last}"
    lines.append(f"{'':>{margin}}  {dates}")
    if len(columns) > len(shown):
        lines.append(f"{'':>{margin}}  {BREAK} another system, storage or workload from here on")
    return lines


def _newest(points: Sequence[Point], most: int) -> Sequence[Point]:
    """Return the newest points that fit a number of columns, with those between series."""
    columns = 0
    for number in range(len(points) - 1, -1, -1):
        columns += 1 + _begins_series(points, number + 1)
        if columns > most:
            return points[number + 1 :]
    return points


def _begins_series(points: Sequence[Point], number: int) -> bool:
    """Return whether a point is not comparable with the one before it."""
    is_between = 0 < number < len(points)
    return is_between and points[number].series != points[number - 1].series


def _columns(points: Sequence[Point], low: float, high: float) -> list[list[str]]:
    """Return a column for each point, and one between two series."""
    columns: list[list[str]] = []
    for number, point in enumerate(points):
        columns += [[BREAK] * HEIGHT] * _begins_series(points, number)
        columns.append(_column(point, low, high))
    return columns


def _title(title: str, points: Sequence[Point], shown: Sequence[Point]) -> str:
    newest = points[-1]
    count = counted(len(points), "run")
    if len(shown) < len(points):
        count = f"the newest {len(shown)} of {count}"
    return f"{title}: {count}, the last {_label(newest.value)} ({newest.run_id})"


def _column(point: Point, low: float, high: float) -> list[str]:
    value, top, bottom = (_line(v, low, high) for v in (point.value, point.high, point.low))
    column = [" "] * HEIGHT
    for line in range(top, bottom + 1):
        column[line] = SPREAD
    column[value] = POINT
    return column


def _line(value: float, low: float, high: float) -> int:
    """Return the line of a value, from 0 at the top; the middle where all are equal."""
    if high <= low:
        return HEIGHT // 2
    share = (high / 2 - value / 2) / (high / 2 - low / 2)  # halves: their difference is finite
    return min(HEIGHT - 1, max(0, round(share * (HEIGHT - 1))))


def _label(value: float) -> str:
    return f"{value:.4g}"
