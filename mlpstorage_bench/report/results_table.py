"""Results of a session as a table for the terminal, with its legend."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence

from rich.console import Console, RenderableType

from mlpstorage_bench.benchmark_type.records import CaseRecord
from mlpstorage_bench.metric.declaration import AnyMetric, Description, Shown
from mlpstorage_bench.report.metric_cells import narrow_cell
from mlpstorage_bench.units import counted

_GAP = "  "
_SECOND_LINES = (" ±", " (")
"""Beginnings of what moves to a cell's second line where the terminal is narrow."""


def results_lines(
    cases: Sequence[CaseRecord],
    metrics: Sequence[AnyMetric],
    width: int | None,
    interrupted: Collection[str] = (),
) -> list[str]:
    """Return a table of cases as lines, with a column for each metric that is a headline.

    A case without metrics has failed, unless it is one of those that were `interrupted`.

    It takes the space that it needs if `width` is None. Where that is more than `width`, spreads
    move to a second line, and then names of cases to a line of their own: no cell is cut.
    """
    described = {metric.name: metric.description for metric in metrics}
    headlines = [one for one in described.values() if one.shown >= Shown.HEADLINE]
    titles = [("case", "", False), ("trials", "", True), *map(_title, headlines)]
    rows = [_row(case, headlines, described, interrupted) for case in cases]
    lines = _laid_out(titles, [[[cell] for cell in row] for row in rows])
    if width is None or len(lines[0]) <= width:
        return lines
    folded = [[_folded(cell) for cell in row] for row in rows]
    lines = _laid_out(titles, folded)
    if len(lines[0]) <= width:
        return lines
    below = [[["", *row[0][1:]], *row[1:]] for row in folded]
    return _laid_out(titles, below, [row[0] for row in rows])


def _title(one: Description) -> tuple[str, str, bool]:
    """Return a column's title in two lines, and whether its cells end at the same place."""
    first, _, second = one.title.partition(" ")
    return first, second, one.unit.is_number


def _row(
    case: CaseRecord,
    headlines: Sequence[Description],
    described: Mapping[str, Description],
    interrupted: Collection[str],
) -> list[str]:
    values = case.metrics
    if values is None:
        word = "interrupted" if case.case in interrupted else "failed"
        measured = f"{len(case.trials)} of {counted(case.planned_trials, 'trial')} measured"
        return [case.case, str(len(case.trials)), f"{word}: {measured}"]
    cells = [narrow_cell(one, values, described) for one in headlines]
    return [case.case, str(len(case.trials)), *cells]


def _folded(cell: str) -> list[str]:
    """Return a cell in two lines if it has a spread or a bound."""
    for beginning in _SECOND_LINES:
        first, found, second = cell.partition(beginning)
        if found:
            return [first, f"{found.strip()}{second}"]
    return [cell]


def _laid_out(
    titles: Sequence[tuple[str, str, bool]],
    rows: Sequence[Sequence[Sequence[str]]],
    names: Sequence[str] = (),
) -> list[str]:
    """Return lines of equal columns: titles, a rule, and rows of cells with one line or more."""
    whole = [row for row in rows if len(row) == len(titles)]  # the last cell of others has a line
    widths = [
        max(
            len(text)
            for text in (
                *(first, second),
                *(t for row in rows if row in whole or i < len(row) - 1 for t in row[i]),
            )
        )
        for i, (first, second, _) in enumerate(titles)
    ]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, (_, _, is_right) in zip(cells, widths, titles, strict=True)
        )
        return _GAP.join(padded)

    heads = [line([first for first, _, _ in titles]), line([second for _, second, _ in titles])]
    lines = [*(head.rstrip() for head in heads if head.strip()), "─" * len(heads[0])]
    for number, row in enumerate(rows):
        lines += names[number : number + 1]
        padded_row = [*row, *([[""]] * (len(titles) - len(row)))]
        for i in range(max(map(len, row))):
            lines.append(line([cell[i] if i < len(cell) else "" for cell in padded_row]).rstrip())
    return lines


def objective_lines(cases: Sequence[CaseRecord]) -> list[str]:
    """Return a line for each objective of the cases, met or missed."""
    return [
        f"objective {'met' if one.is_met else 'MISSED'}: workload {case.case}: {one}"
        for case in cases
        for one in case.objectives
    ]


def legend(metrics: Sequence[AnyMetric]) -> str:
    """Return the meaning of the table's columns, in one line."""
    parts = [m.legend for m in metrics if m.legend and m.shown >= Shown.HEADLINE]
    return f"{'; '.join(['Mean ± half the range over trials', *parts])}."


def as_lines(renderable: RenderableType, width: int) -> list[str]:
    """Render a rich table as plain text, line by line."""
    text = io.StringIO()
    Console(
        file=text, width=width, color_system=None, highlight=False, markup=False, emoji=False
    ).print(renderable)
    return [line.rstrip() for line in text.getvalue().splitlines() if line.strip()]
