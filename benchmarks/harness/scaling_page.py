"""Page with the plots of the scaling study: python -m benchmarks.harness.scaling_page FILE...

The files are pytest-benchmark's JSON. `--page` names the page, in .html, or in .md for its tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.harness.columns import CALCULATED, TABLES, Column
from benchmarks.harness.goals import Case
from benchmarks.harness.larger_machine import LABEL, calculated, ceiling_of, title_of
from benchmarks.harness.table import cells, read
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
from mlpstorage_bench.report.charts.scale import linear, logarithmic, number_text
from mlpstorage_bench.report.page import Block, Page
from mlpstorage_bench.report.render import write_report
from mlpstorage_bench.report.tables import Section

STUDY = "test_scaling"


class _Axis(NamedTuple):
    """Horizontal axis of a plot, and the cases that are on it."""

    name: str
    title: str
    shows: Callable[[Case], bool]


class _Value(NamedTuple):
    """Vertical axis of a plot."""

    title: str
    of: Callable[[Case], float]


_AXES = (
    _Axis(
        "lanes",
        "lanes of one rank, one chunk in flight each",
        lambda case: case["ranks"] == 1 and case["lanes"] == case["in_flight"],
    ),
    _Axis(
        "in_flight",
        "chunks in flight of one lane",
        lambda case: case["ranks"] == 1 and case["lanes"] == 1,
    ),
    _Axis("ranks", "ranks with 16 lanes each", lambda case: case["shape"] == "16 x 1"),
)
_VALUES = (
    _Value("GiB/s", lambda case: case["gib_s"]),
    _Value("CPU s/GiB", lambda case: case["cpu_s_per_gib"]),
    _Value("ceiling GiB/s", ceiling_of),
)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--page", type=Path, default=Path("scaling.html"))
    arguments = parser.parse_args()
    print(write_report(arguments.page, page_of(read(arguments.files)[STUDY])))


def page_of(cases: Sequence[Case]) -> Page:
    """Return the page of the study's cases."""
    reached = list(calculated(cases))
    return Page(
        title="Scaling of the harness",
        blocks=(
            Block("Plots", figures=tuple(_figures(cases))),
            Block("Measured", (_section("Measured", TABLES[STUDY], cases),)),
            Block(
                f"A larger machine: {LABEL}",
                (_section(title_of(), CALCULATED, reached),),
            ),
        ),
        is_complete=True,
    )


def _section(title: str, columns: tuple[Column, ...], cases: Sequence[Case]) -> Section:
    rows = tuple(tuple(cells(columns, case)) for case in cases)
    return Section(title, tuple(column.heading for column in columns), rows)


def _figures(cases: Sequence[Case]) -> Iterator[Figure]:
    """Yield a plot for each axis, size of chunks and value that has several points."""
    for kib in sorted({case["chunk_kib"] for case in cases}, reverse=True):
        for axis in _AXES:
            shown = [case for case in cases if case["chunk_kib"] == kib and axis.shows(case)]
            if len({case[axis.name] for case in shown}) > 1:
                for value in _VALUES:
                    yield _figure(axis, value, kib, shown)


def _figure(axis: _Axis, value: _Value, kib: int, cases: Sequence[Case]) -> Figure:
    stores = list(dict.fromkeys(case["store"] for case in cases))
    at = sorted({case[axis.name] for case in cases})
    measured = {(case["store"], case[axis.name]): value.of(case) for case in cases}
    lines = [
        Line(store, style, [(place, measured.get((store, place))) for place in at])
        for store, style in zip(stores, COLORS, strict=False)
    ]
    title = f"{value.title} by {axis.title}, chunks of {kib} KiB"
    rows = tuple(
        (str(place), *(_text(measured.get((store, place))) for store in stores)) for place in at
    )
    axes = Axes(
        logarithmic(at, LEFT, RIGHT),
        linear([*measured.values()], BOTTOM, TOP),
        axis.title,
        value.title,
        [(place, str(place)) for place in at],
    )
    summary = "; ".join(
        f"{line.name}: {_text(line.points[0][1])} to {_text(line.points[-1][1])}" for line in lines
    )
    return line_chart(title, summary, lines, axes, Section(title, (axis.name, *stores), rows))


def _text(value: float | None) -> str:
    return "-" if value is None else number_text(value)


if __name__ == "__main__":
    main()
