"""Earlier runs as lines of text, as JSON, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.escaping import MOST_SHOWN, for_terminal, shortened
from mlpstorage_bench.history.past_run import PastCase, PastRun
from mlpstorage_bench.leaves.definitions import UNLIKE_OURS
from mlpstorage_bench.metric.declaration import Description
from mlpstorage_bench.results.json_files import json_text
from mlpstorage_bench.units import counted, decimal_text

_COLORS = {"passed": 32, "failed": 31, "died": 31, "interrupted": 33}
"""ANSI colours of a status, where the output is a terminal."""
_HEADER = ("id", "time", "type", "model", "command", "mode", "ranks x hosts", "status")
_STATUS = _HEADER.index("status")
_OFTEN_EQUAL = ("type", "model", "command", "mode", "ranks x hosts")
"""Columns that are named once above a table that is too wide, if all runs have the same."""
_FIRST_METRIC = len(_HEADER)
_GAP = "  "
_OFFSET = len("2026-11-24 10:00:00")
"""Length of a time's text without its offset from UTC."""
MOST_CASES = 3
"""Cases whose values a cell has, separated by spaces."""
CSV_COLUMNS = (
    *("run_id", "started", "benchmark_type", "model", "command", "mode", "systemname"),
    *("num_processes", "num_hosts", "hosts", "status", "tags", "commit", "branch", "path"),
    *("case", "test"),
)
"""Columns of every run; those of the metrics that lists show come after them."""


def history_lines(
    runs: Sequence[PastRun],
    columns: Sequence[Description],
    *,
    color: bool = False,
    width: int | None = None,
) -> list[str]:
    """Return a line for each run, with a column for each metric that lists show.

    Where lines would be longer than `width`, columns in which all runs are equal are named above.
    No cell is wrapped, and none is cut but a text of hundreds of characters: ten thousand lines
    have to be made at once.
    """
    tagged = any(run.tags for run in runs)
    of_systems = len({run.systemname for run in runs}) > 1
    titles = (for_terminal(column.title) for column in columns)
    last = [*(["tags"] if tagged else []), *(["system"] if of_systems else [])]
    header = (*_HEADER, *titles, *last)
    forms = [(column.name, column.unit.decimals) for column in columns]
    rows = [_row(run, forms, tagged=tagged, of_systems=of_systems) for run in runs]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    forms_of = [
        f"{{:>{width}}}" if 0 <= number - _FIRST_METRIC < len(columns) else f"{{:<{width}}}"
        for number, width in enumerate(widths)
    ]
    length = sum(widths) + len(_GAP) * (len(widths) - 1)
    lines = []
    if width is not None and length > width:
        equal = [
            number
            for number, title in enumerate(header)
            if title in _OFTEN_EQUAL and len({row[number] for row in rows}) == 1
        ]
        for number in equal:
            length -= widths[number] + len(_GAP)
            forms_of[number] = ""
        if equal:
            lines.append(f"all: {', '.join(f'{header[one]} {rows[0][one]}' for one in equal)}")
    form = _joined(forms_of)
    lines += [form.format(*header).rstrip(), "─" * length]
    if not color:
        return lines + [form.format(*row).rstrip() for row in rows]
    for row in rows:
        status = row[_STATUS]
        padded = f"{status:<{widths[_STATUS]}}"
        painted = f"\x1b[{_COLORS.get(status, 0)}m{padded}\x1b[0m"
        lines.append(form.format(*row[:_STATUS], painted, *row[_STATUS + 1 :]).rstrip())
    return lines


def _joined(forms: Sequence[str]) -> str:
    """Return the form of a line: the forms of cells by number, without those that are empty."""
    return _GAP.join(f"{{{number}{form[1:]}" for number, form in enumerate(forms) if form)


def legend_lines(runs: Iterable[PastRun]) -> list[str]:
    """Return what several figures in a cell are, if a run has several cases."""
    if all(len(run.cases) <= 1 for run in runs):
        return []
    text = (
        f"figures in a cell: of a run's first {MOST_CASES} cases, in order; +N: N more, which "
        "--mlps-history=ID shows"
    )
    return [text]


def definition_lines(runs: Iterable[PastRun]) -> list[str]:
    """Return what makes figures of the reference's runs unlike ours, if such runs are listed."""
    count = sum(1 for run in runs if run.is_of_reference and run.cases)
    if not count:
        return []
    return [f"{counted(count, 'run')} of the reference: {definition}" for definition in UNLIKE_OURS]


def _row(
    run: PastRun, forms: Sequence[tuple[str, int]], *, tagged: bool, of_systems: bool
) -> tuple[str, ...]:
    cases = run.cases
    row = (
        run.run_id,
        run.started.isoformat(" ", "seconds")[:_OFFSET],
        run.benchmark_type,
        run.model,
        run.command,
        run.mode,
        f"{run.ranks} x {run.num_hosts}",
        run.status,
        *[_cell([case.listed.get(name) for case in cases], places) for name, places in forms],
    )
    if tagged:
        row = (*row, " ".join(run.tags))
    if of_systems:
        row = (*row, run.systemname or "-")
    text = "".join(row)
    if text.isprintable() and len(text) <= MOST_SHOWN:  # nearly every row
        return row
    return tuple(shortened(for_terminal(cell)) for cell in row)


def _cell(values: Sequence[float | None], decimals: int) -> str:
    known = values[:MOST_CASES]
    shown = " ".join(["-" if v is None else decimal_text(v, decimals) for v in known]) or "-"
    more = len(values) - MOST_CASES
    return f"{shown} +{more}" if more > 0 else shown


def history_json(
    runs: Iterable[PastRun], columns: Sequence[Description], problems: Sequence[str]
) -> str:
    """Return the runs as a JSON document, with the files that could not be read."""
    names = [column.name for column in columns]
    listed = [
        {
            **run.facts(),
            "cases": [_case(case, names) for case in run.cases],
            "num_hosts": run.num_hosts,
            "path": run.file,
        }
        for run in runs
    ]
    return json_text({"runs": listed, "problems": list(problems)})


def _case(case: PastCase, names: Sequence[str]) -> Json:
    """Return a case for JSON, with the metrics that lists show beside its other facts."""
    facts = {name: value for name, value in vars(case).items() if name != "listed"}
    return {**facts, **{name: case.listed.get(name) for name in names}}


def history_csv(runs: Iterable[PastRun], columns: Sequence[Description]) -> str:
    """Return a line for each case of each run; several hosts or tags are separated by spaces."""
    names = [column.name for column in columns]
    rows = (_csv_row(run, case, names) for run in runs for case in run.cases or (None,))
    return as_csv((*CSV_COLUMNS, *names), rows)


def _csv_row(run: PastRun, case: PastCase | None, names: Sequence[str]) -> list[object]:
    return [
        *(run.run_id, run.started.isoformat(), run.benchmark_type, run.model, run.command),
        *(run.mode, run.systemname, run.num_processes, run.num_hosts, " ".join(run.hosts)),
        *(run.status, " ".join(run.tags), run.commit, run.branch, run.file),
        *(
            [None] * (2 + len(names))
            if case is None
            else [case.name, case.test, *(case.listed.get(name) for name in names)]
        ),
    ]


def as_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV under a header, without control characters; nothing stands for None."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(
        [for_terminal(cell) if isinstance(cell, str) else cell for cell in row] for row in rows
    )
    return text.getvalue()
