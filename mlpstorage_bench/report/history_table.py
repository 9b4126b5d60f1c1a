"""Past runs as lines of text, as JSON, and as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from mlpstorage_bench.history.past_run import PastCase, PastRun

_COLORS = {"passed": 32, "failed": 31, "died": 31, "interrupted": 33}
"""ANSI colours of a status, where the output is a terminal."""
_HEADER = (
    *("id", "time", "type", "model", "command", "mode", "ranks x hosts", "status"),
    *("read GiB/s", "write GiB/s", "read p95 ms"),
)
_STATUS = _HEADER.index("status")
_FIRST_FIGURE = _HEADER.index("read GiB/s")
_GAP = "  "
_OFFSET = len("2026-11-24 10:00:00")
"""Where the offset begins in a moment's text."""
MOST_FIGURES = 3
"""Of a run's cases: as many as there are options."""
CSV_COLUMNS = (
    *("run_id", "started", "benchmark_type", "model", "command", "mode", "systemname"),
    *("num_processes", "num_hosts", "hosts", "status", "tags", "commit", "branch", "path"),
    *("case", "test", "read_gib_s", "write_gib_s", "read_p95_ms"),
)


def history_lines(runs: Sequence[PastRun], *, color: bool = False) -> list[str]:
    """Return a line for each run; figures of its first cases stand in their order.

    No cell is cut, and none is wrapped: ten thousand lines are to be put together at once.
    """
    tagged = any(run.tags for run in runs)
    header = (*_HEADER, "tags") if tagged else _HEADER
    rows = [_row(run, tagged=tagged) for run in runs]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    form = _GAP.join(
        f"{{:>{width}}}" if 0 <= number - _FIRST_FIGURE < MOST_FIGURES else f"{{:<{width}}}"
        for number, width in enumerate(widths)
    )
    lines = [form.format(*header).rstrip(), "─" * (sum(widths) + len(_GAP) * (len(widths) - 1))]
    if not color:
        return lines + [form.format(*row).rstrip() for row in rows]
    for row in rows:
        status = row[_STATUS]
        padded = f"{status:<{widths[_STATUS]}}"
        painted = f"\x1b[{_COLORS.get(status, 0)}m{padded}\x1b[0m"
        lines.append(form.format(*row[:_STATUS], painted, *row[_STATUS + 1 :]).rstrip())
    return lines


def _row(run: PastRun, *, tagged: bool) -> tuple[str, ...]:
    cases = run.cases
    row = (
        run.run_id,
        run.started.isoformat(" ", "seconds")[:_OFFSET],
        run.benchmark_type,
        run.model,
        run.command,
        run.mode,
        f"{run.num_processes} x {run.num_hosts}",
        run.status,
        _figures([case.read_gib_s for case in cases], "%.2f"),
        _figures([case.write_gib_s for case in cases], "%.2f"),
        _figures([case.read_p95_ms for case in cases], "%.1f"),
    )
    return (*row, " ".join(run.tags)) if tagged else row


def _figures(values: Sequence[float | None], form: str) -> str:
    shown = " ".join(["-" if v is None else form % v for v in values[:MOST_FIGURES]]) or "-"
    more = len(values) - MOST_FIGURES
    return f"{shown} +{more}" if more > 0 else shown


def history_json(runs: Iterable[PastRun], problems: Sequence[str]) -> str:
    """Return the runs as a JSON document, with what could not be read as one."""
    listed = [{**run.facts(), "num_hosts": run.num_hosts, "path": run.file} for run in runs]
    return json.dumps({"runs": listed, "problems": list(problems)}, indent=2) + "\n"


def history_csv(runs: Iterable[PastRun]) -> str:
    """Return a line for each case of each run; several hosts or tags are parted by spaces."""
    return as_csv(
        CSV_COLUMNS, (_csv_row(run, case) for run in runs for case in run.cases or (None,))
    )


def _csv_row(run: PastRun, case: PastCase | None) -> list[Any]:
    return [
        *(run.run_id, run.started.isoformat(), run.benchmark_type, run.model, run.command),
        *(run.mode, run.systemname, run.num_processes, run.num_hosts, " ".join(run.hosts)),
        *(run.status, " ".join(run.tags), run.commit, run.branch, run.file),
        *(
            [None] * 5
            if case is None
            else [case.name, case.test, case.read_gib_s, case.write_gib_s, case.read_p95_ms]
        ),
    ]


def as_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV under a header; nothing stands for None."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
