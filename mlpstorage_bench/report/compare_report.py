"""A comparison of runs as lines of a terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table

from mlpstorage_bench.compare.subject import Comparison, Row
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.paths import is_directory, starts_with
from mlpstorage_bench.report.markdown import MARKDOWN_BEGINNING, to_markdown
from mlpstorage_bench.report.page import Block, Page
from mlpstorage_bench.report.results_table import as_lines
from mlpstorage_bench.report.tables import Section
from mlpstorage_bench.results.json_files import json_text
from mlpstorage_bench.results.tree import write_named
from mlpstorage_bench.units import decimal_text

REPORT_OPTION = "--mlps-compare-report"
_SUFFIXES = (".json", ".md")
_WRITER = {"written_by": "mlpstorage_bench"}
_JSON_BEGINNING = json.dumps(_WRITER, indent=2).removesuffix("\n}")
_LEAST_WIDTH = 40
_WIDEST_TEXT = 120
UNLIKE_MARK = "≠"
_MARK_MEANS = f"{UNLIKE_MARK}: these figures are not defined alike; see the lines above"
_NOTHING_UNLIKE = "nothing that is recorded makes them unlike"


def compare_lines(comparison: Comparison, width: int) -> list[str]:
    """Return the comparison as lines of at most this width, but for figures that need more."""
    width = max(width, _LEAST_WIDTH)
    lines: list[str] = []
    for letter, subject in zip(comparison.letters, comparison.subjects, strict=True):
        lines += _wrapped(f"{letter}  {subject.identity} ({subject.given})", width, "   ")
    lines.append("")
    for line in _unlike(comparison):
        lines += _wrapped(line, width, "  ")
    for letter, subject in zip(comparison.letters, comparison.subjects, strict=True):
        for note in subject.notes:
            lines += _wrapped(f"note on {letter}: {note}", width, "  ")
    alike = "; ".join(f"{name}: {value}" for name, value in comparison.alike.items())
    if alike:
        lines += _wrapped(f"alike: {alike}", width, "  ")
    rows = comparison.rows
    for letters, columns in _parts(comparison.letters, rows, width):
        lines += ["", *as_lines(_table(rows, letters, columns), width)]
    if any(row.is_unlike for row in rows):
        lines += _wrapped(_MARK_MEANS, width, "  ")
    return lines


def _unlike(comparison: Comparison) -> list[str]:
    return list(map(str, comparison.unlike)) or [_NOTHING_UNLIKE]


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(
        for_terminal(text),
        min(width, _WIDEST_TEXT),
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


def _parts(
    letters: Sequence[str], rows: Sequence[Row], width: int
) -> Iterator[tuple[Sequence[str], range]]:
    """Yield the runs whose figures fit beside each other, with their positions."""
    labels = sum(max((len(text) for text in texts), default=0) + 1 for texts in _labels(rows))
    cells = [cell_of(value, row.decimals) for row in rows for value in row.values]
    count = max((width - labels - 2) // (max(map(len, cells), default=1) + 1), 1)
    for start in range(0, len(letters), count):
        end = min(start + count, len(letters))
        yield letters[start:end], range(start, end)


def _labels(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    return [for_terminal(row.case) for row in rows], [for_terminal(row.label) for row in rows]


def _table(rows: Sequence[Row], letters: Sequence[str], columns: range) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for title in ("case", "figure", ""):
        table.add_column(title, overflow="fold")
    for letter in letters:
        table.add_column(letter, justify="right", no_wrap=True)
    case = ""
    for row in rows:
        table.add_row(
            "" if row.case == case else for_terminal(row.case),
            for_terminal(row.label),
            UNLIKE_MARK if row.is_unlike else "",
            *(cell_of(row.values[at], row.decimals) for at in columns),
        )
        case = row.case
    return table


def cell_of(value: float | None, decimals: int) -> str:
    """Return a figure as a cell."""
    return "-" if value is None else decimal_text(value, decimals)


def _to_json(comparison: Comparison) -> str:
    subjects = zip(comparison.letters, comparison.subjects, strict=True)
    content = {
        **_WRITER,
        "runs": [
            {
                "letter": letter,
                "given": one.given,
                "program": one.program,
                "identity": one.identity,
                "conditions": dict(one.conditions),
                "notes": list(one.notes),
            }
            for letter, one in subjects
        ],
        "unlike": [
            {
                "condition": one.condition,
                "values": [{"value": v, "runs": list(letters)} for v, letters in one.values],
            }
            for one in comparison.unlike
        ],
        "figures": [
            {
                "case": row.case,
                "figure": row.label,
                "is_defined_alike": not row.is_unlike,
                "values": dict(zip(comparison.letters, row.values, strict=True)),
            }
            for row in comparison.rows
        ],
    }
    return json_text(content)


def _to_markdown(comparison: Comparison) -> str:
    letters = comparison.letters
    runs = tuple(
        (letter, one.identity, one.given)
        for letter, one in zip(letters, comparison.subjects, strict=True)
    )
    figures = tuple(
        (
            row.case,
            f"{row.label} {UNLIKE_MARK if row.is_unlike else ''}".rstrip(),
            *(cell_of(value, row.decimals) for value in row.values),
        )
        for row in comparison.rows
    )
    alike = tuple(comparison.alike.items())
    blocks = (
        Block("Runs", (Section("", ("", "run", "given as"), runs),)),
        Block("Figures", (Section("", ("case", "figure", *letters), figures),)),
        Block("Alike", (Section("", ("condition", "value"), alike),)),
    )
    page = Page(
        title="Comparison of runs",
        notes=(*_unlike(comparison), *notes_of(comparison)),
        blocks=tuple(block for block in blocks if not block.is_empty),
        is_complete=True,
    )
    return MARKDOWN_BEGINNING + to_markdown(page)


def notes_of(comparison: Comparison) -> tuple[str, ...]:
    """Return the notes on each run, and the meaning of the mark if a figure has it."""
    notes = [
        f"note on {letter}: {note}"
        for letter, one in zip(comparison.letters, comparison.subjects, strict=True)
        for note in one.notes
    ]
    marks = [_MARK_MEANS] if any(row.is_unlike for row in comparison.rows) else []
    return (*notes, *marks)


def write_compare_report(path: Path, comparison: Comparison) -> None:
    """Write a comparison in the format of the file's suffix; InvalidInputError on failure."""
    make = _to_json if path.suffix == ".json" else _to_markdown
    write_named(REPORT_OPTION, path, make(comparison))


def is_own_compare_report(path: Path) -> bool:
    """Return whether a file is a report that an earlier command wrote."""
    beginning = _JSON_BEGINNING if path.suffix == ".json" else MARKDOWN_BEGINNING
    return starts_with(beginning.encode())(path)


def check_compare_report(path: Path) -> Path:
    """Return the path; InvalidInputError if its suffix or its directory is not usable."""
    if path.suffix not in _SUFFIXES:
        raise InvalidInputError(REPORT_OPTION, str(path), "a file name in .json or .md")
    if not is_directory(REPORT_OPTION, path.parent):
        raise InvalidInputError(REPORT_OPTION, str(path), "a file in a directory that exists")
    return path
