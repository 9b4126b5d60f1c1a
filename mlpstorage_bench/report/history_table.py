"""Past runs as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from mlpstorage_bench.history.scan import PastRun

_STYLES = {"passed": "green", "failed": "red", "interrupted": "yellow", "died": "red"}


NARROWEST_TABLE = 150
"""Columns that a table needs: a narrower terminal wraps its lines, and no cell is cut."""


MOST_FIGURES = 3
"""Of a run's cases: as many as there are options."""


def history_table(runs: Sequence[PastRun]) -> Table:
    """Return a table with a line for each run; figures of its first cases stand in their order."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("id", "time", "type", "model", "command", "mode"):
        table.add_column(title, no_wrap=True)
    for title in ("ranks x hosts", "status"):
        table.add_column(title)
    for title in ("read GiB/s", "write GiB/s", "read p95 ms"):
        table.add_column(title, justify="right")
    for run in runs:
        style = _STYLES.get(run.status, "")
        table.add_row(
            run.run_id,
            run.started.strftime("%Y-%m-%d %H:%M:%S"),
            run.benchmark_type,
            run.model,
            run.command,
            run.mode,
            f"{run.num_processes} x {run.num_hosts}",
            f"[{style}]{run.status}[/]" if style else run.status,
            _figures([case.read_gib_s for case in run.cases], "{:.2f}"),
            _figures([case.write_gib_s for case in run.cases], "{:.2f}"),
            _figures([case.read_p95_ms for case in run.cases], "{:.1f}"),
        )
    return table


def _figures(values: Sequence[float | None], form: str) -> str:
    shown = " ".join("-" if v is None else form.format(v) for v in values[:MOST_FIGURES]) or "-"
    more = len(values) - MOST_FIGURES
    return f"{shown} +{more}" if more > 0 else shown
