"""A row of a published table as it is compared: CSV with a line for each system.

Columns are those of a table of summaries (`opt1_read_GiBps`), or of the reference's own report
(`KVCache llama3.1-8b Storage Only - Read B/W (GiB/s)`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mlpstorage_bench.compare.figures import DEFINITIONS, REFERENCE, figures_of
from mlpstorage_bench.compare.reference_run import BUFFERED
from mlpstorage_bench.compare.subject import NOT_RECORDED, Figure, Program, Subject
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.inputs.csv_files import Row, csv_header, csv_rows
from mlpstorage_bench.inputs.files import open_lines
from mlpstorage_bench.leaves.document import finite_number
from mlpstorage_bench.paths import InputFile

_MOST_BYTES = 16 << 20
_MOST_NAMED = 8
_FORM = "FILE.csv#SYSTEM, or FILE.csv#SYSTEM@RUN for one of several rows of a system"
_SYSTEM = ("system", "Name")
_RUN = ("run_datetime", "Public ID")
_MARKUP = re.compile(r"<[^<>]*>")
_OF_SUMMARY = re.compile(r"opt(\d)_(\w+)")
_OF_REPORT = re.compile(
    r"KVCache .*?(8b Storage Only|8b Storage \+ Mem|70b.* Storage Only) - (.*)", re.IGNORECASE
)
_OPTIONS = {"8b storage only": "1", "8b storage + mem": "2"}
_FIGURES = (
    (re.compile(r"read_GiBps|Read B/W", re.IGNORECASE), "read_gib_s"),
    (re.compile(r"write_GiBps|Write B/W", re.IGNORECASE), "write_gib_s"),
    (re.compile(r"avg_tokens_per_s|Throughput", re.IGNORECASE), "tokens_per_s"),
    (re.compile(r"storage_tokens_per_s"), "storage_tokens_per_s"),
    (re.compile(r"p95_ms"), "request_io_p95_ms"),
)
"""The report's own p95 is left out: by its tool's version, it is of reads or of whole requests."""


def is_row(given: str) -> bool:
    """Return whether a run is given as a row of a table."""
    return ".csv#" in given


def row_subject(option: str, given: str) -> Subject:
    """Return the row of a table; InvalidInputError, which names the rows, if there is not one."""
    name, _, wanted = given.rpartition("#")
    file = InputFile(option, Path(name), "a CSV file with a row for each system")
    with open_lines(file, _MOST_BYTES) as lines:
        header = csv_header(next(lines, ""))
        if not set(_SYSTEM) & set(header):
            lines.refuse(f"It has no column {' or '.join(_SYSTEM)}")
        rows = list(csv_rows(lines, header))
    system, _, run = wanted.rpartition("@") if "@" in wanted else (wanted, "", "")
    found = [row for row in rows if _cell(row, _SYSTEM) == system and run in ("", _cell(row, _RUN))]
    if len(found) == 1:
        return _subject(given, found[0])
    near = [row for row in rows if system in _cell(row, _SYSTEM)] if found == [] else found
    shown = [_name(row) for row in (near or rows)][:_MOST_NAMED]
    problem = f"{len(found)} rows are of this system" if found else "No row is of this system"
    raise InvalidInputError(option, given, _FORM, hint=f"{problem}. Rows: {', '.join(shown)}")


def _name(row: Row) -> str:
    run = _cell(row, _RUN)
    return f"#{_cell(row, _SYSTEM)}" + (f"@{run}" if run else "")


def _cell(row: Row, names: tuple[str, ...]) -> str:
    """Return a cell of one of these columns, without markup."""
    text = next((row[name] for name in names if name in row), "")
    return _MARKUP.sub("", text).strip()


def _subject(given: str, row: Row) -> Subject:
    ranks, hosts = row.get("ranks"), row.get("hosts") or row.get("KVCache - # Client Nodes")
    model = _cell(row, ("model_dir", "Model"))
    division = _cell(row, ("division", "Division"))
    conditions = {
        "program": str(Program.TABLE),
        "benchmark type": "kv_cache",
        "model": model or NOT_RECORDED,
        "mode": division.lower() or NOT_RECORDED,
        "ranks and hosts": f"{ranks or '-'} on {hosts or '-'}",
        "trials": row.get("trials") or NOT_RECORDED,
        "workload": NOT_RECORDED,
        "window": NOT_RECORDED,
        "bytes that count": DEFINITIONS[REFERENCE].partition(";")[0],
        "p95": DEFINITIONS[REFERENCE].rpartition("; p95 ")[2],
        "direct I/O": BUFFERED,
        "flush": "each entry (fsync); how long it took is not recorded",
        "audit": "none",
        "reads checked": "none",
        "preloads": NOT_RECORDED,
    }
    identity = f"{_cell(row, _RUN) or '-'}: {division} {_cell(row, _SYSTEM)} {model}".rstrip()
    return Subject(given, Program.TABLE, identity, conditions, dict(_cases(row)), notes=_notes(row))


def _cases(row: Row) -> Iterator[tuple[str, list[Figure]]]:
    found: dict[str, dict[str, object]] = {}
    for column, text in row.items():
        place = _place(column)
        value = finite_number(text)
        if place is not None and value is not None:
            option, name = place
            found.setdefault(option, {}).setdefault(name, value)
    for option, values in sorted(found.items()):
        yield option, list(figures_of(values, REFERENCE))


def _place(column: str) -> tuple[str, str] | None:
    """Return option and figure of a column; None for other columns."""
    of_summary, of_report = _OF_SUMMARY.fullmatch(column), _OF_REPORT.fullmatch(column)
    if of_summary is not None:
        option, rest = of_summary[1], of_summary[2]
    elif of_report is not None:
        option, rest = _OPTIONS.get(of_report[1].lower(), "3"), of_report[2]
    else:
        return None
    figure = next((name for pattern, name in _FIGURES if pattern.match(rest)), None)
    return None if figure is None else (option, figure)


def _notes(row: Mapping[str, str]) -> tuple[str, ...]:
    missing = [
        f"case {column[3]}: files of {text} results of ranks are missing; sums are of the others"
        for column, text in row.items()
        if re.fullmatch(r"opt\d_missing_files", column) and text not in ("", "0")
    ]
    return (*missing, *filter(None, [row.get("note", "").strip()]))
