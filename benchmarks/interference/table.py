"""Table of the study of interference, in Markdown that is aligned for terminals."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence

from benchmarks.interference.losses import Comparison
from benchmarks.interference.results import SideResult

HEADINGS = ("type", "figure", "alone", "together", "loss %", "drift %")
UNKNOWN = "-"
DOUBTFUL = "?"
LEGEND = f"{DOUBTFUL}: not greater than the drift, so it may be the storage's own change"


def table(rows: Sequence[Comparison]) -> list[str]:
    """Return the lines of a table with a row for each figure.

    Values are medians, of several runs with the least and the greatest.
    """
    cells = [HEADINGS, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, tuple("-" * width for width in widths))
    return [
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in cells
    ]


def conditions_line(name: str, alone: Sequence[SideResult], together: Sequence[SideResult]) -> str:
    """Return what limited a side, and how long its ranks were denied a processor."""
    return f"{name}: alone {_conditions(alone)}; together {_conditions(together)}"


def _conditions(results: Sequence[SideResult]) -> str:
    known = [one for result in results for one in result.conditions]
    limits = " or ".join(sorted({one.limit for one in known})) or "an unknown limit"
    denied = [one.denied_share for one in known if one.denied_share is not None]
    words = f"denied a processor for up to {max(denied):.0%} of the window" if denied else ""
    return f"limited by {limits}{', ' if words else ''}{words}"


def _cells(row: Comparison) -> tuple[str, ...]:
    return (
        row.type_name,
        row.title,
        _values([*itertools.chain(*row.alone)], "{:.3g}"),
        _values(row.together, "{:.3g}"),
        _values(row.losses, "{:+.0f}") + f" {DOUBTFUL}" * row.is_within_drift,
        UNKNOWN if row.drift is None else f"{row.drift:.0f}",
    )


def _values(values: Sequence[float | None], form: str) -> str:
    known = [one for one in values if one is not None]
    if not known:
        return UNKNOWN
    middle, least, most = statistics.median(known), min(known), max(known)
    if len(known) == 1:
        return form.format(middle)
    return f"{form.format(middle)} ({form.format(least)} to {form.format(most)})"
