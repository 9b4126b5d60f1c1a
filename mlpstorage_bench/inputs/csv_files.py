"""Rows of CSV files, by the names of their columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

from mlpstorage_bench.inputs.files import Lines

Row = dict[str, str]
"""A row: name of the column → text."""


def csv_rows(lines: Lines, header: Sequence[str]) -> Iterator[Row]:
    """Yield the rows below the header, which was read; blank lines are left out."""
    for cells in _cells(lines):
        if not cells:
            continue
        if len(cells) != len(header):
            lines.refuse(f"It has {len(cells)} columns, but the header has {len(header)}")
        yield dict(zip(header, cells, strict=True))


def csv_header(line: str) -> tuple[str, ...]:
    """Return the names of columns in the first line of a file; () if it is no CSV."""
    try:
        return tuple(name.strip() for name in next(csv.reader([line], strict=True), []))
    except csv.Error:
        return ()


def _cells(lines: Lines) -> Iterator[list[str]]:
    reader = csv.reader(lines, strict=True)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            lines.refuse(f"It is no CSV: {error}")
        if cells is None:
            return
        yield cells
