"""Chart of a metric over time in characters: a point for each run, a line for its trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

HEIGHT = 9
"""Lines between the greatest value and the least."""
POINT, SPREAD = "●", "│"
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


def trend_lines(title: str, points: Sequence[Point], width: int) -> list[str]:
    """Return a chart of points in order of time, with this width in columns.

    Each run has a column: time is not to scale. If there are more runs than columns, only the
    newest are shown, and the title says so.
    """
    low = min(point.low for point in points)
    high = max(point.high for point in points)
    middle = HEIGHT // 2
    labels = {middle: _label(high / 2 + low / 2)}
    if high > low:
        labels |= {0: _label(high), HEIGHT - 1: _label(low)}
    margin = max(map(len, labels.values()))
    most = max(_NARROWEST, width - margin - 2)
    shown = points[-most:]
    step = max(1, min(4, most // len(shown)))
    columns = [_column(point, low, high) for point in shown]
    lines = [_title(title, points, shown)]
    for line in range(HEIGHT):
        cells = "".join(column[line].ljust(step) for column in columns)
        lines.append(f"{labels.get(line, ''):>{margin}} ┤{cells}".rstrip())
    lines.append(f"{'':>{margin}} └{'─' * (step * len(shown))}")
    first, last = (point.started.strftime(_DATE) for point in (shown[0], shown[-1]))
    between = max(3, step * len(shown) - len(first) - len(last))
    dates = first if len(shown) == 1 else f"{first}{' to '.center(between)}{last}"
    lines.append(f"{'':>{margin}}  {dates}")
    return lines


def _title(title: str, points: Sequence[Point], shown: Sequence[Point]) -> str:
    newest = points[-1]
    count = f"{len(points)} run{'s' if len(points) > 1 else ''}"
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
