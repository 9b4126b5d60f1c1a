"""CSV of tables with text from outside, which does nothing in a terminal or a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from mlpstorage_bench.escaping import for_terminal

_FORMULA = ("=", "+", "-", "@")
"""Beginnings of a text that spreadsheets take for a formula."""


def csv_text(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Return rows as CSV under a header; a text that begins like a formula gets an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(
        [cell if isinstance(cell, int | float) else _shown(str(cell)) for cell in row]
        for row in rows
    )
    return text.getvalue()


def _shown(text: str) -> str:
    line = for_terminal(text)
    return f"'{line}" if line.startswith(_FORMULA) else line
