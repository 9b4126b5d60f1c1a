"""Results of a session as a table for the terminal, with its legend."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

from mlpstorage_bench.benchmark_type import CaseRecord
from mlpstorage_bench.metric.declaration import AnyMetric, Description, Shown
from mlpstorage_bench.report.metric_cells import narrow_cell


def results_table(cases: Sequence[CaseRecord], metrics: Sequence[AnyMetric]) -> Table:
    """Return a table of cases, with a column for each metric that is a headline."""
    described = {metric.name: metric.description for metric in metrics}
    headlines = [one for one in described.values() if one.shown >= Shown.HEADLINE]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    table.add_column("case", no_wrap=True)
    table.add_column("trials", justify="right")
    rows = [_row(case, headlines, described) for case in cases]
    for number, one in enumerate(headlines, start=2):
        title = one.title.replace(" ", "\n", 1)
        words = " ".join([title, *(row[number] for row in rows if number < len(row))]).split()
        # rich would cut a word to give another column more space
        table.add_column(title, justify="right", min_width=max(map(len, words)))
    for row in rows:
        table.add_row(*row)
    return table


def _row(
    case: CaseRecord, headlines: Sequence[Description], described: Mapping[str, Description]
) -> list[str]:
    values = case.metrics
    if values is None:
        return [_wrapped(case.case), f"{len(case.trials)}/{case.planned_trials}", "failed"]
    cells = [
        narrow_cell(one, values, described).replace(" (", "\n(") for one in headlines
    ]  # a bound in its own line: a row has two anyway
    return [_wrapped(case.case), str(len(case.trials)), *cells]


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


def _wrapped(name: str) -> str:
    """Return a case's name with line breaks at its hyphens: a row has two lines anyway."""
    return name.replace("-", "-\n")
