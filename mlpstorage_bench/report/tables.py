"""Tables that any format of a report can render."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST_ROWS = 100
"""Rows of a table in a report: of longer ones it has the first, and says so."""


@dataclass(frozen=True)
class Section:
    """Table with a title."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def cut(self, most: int = MOST_ROWS) -> Section:
        """Return the table with at most this number of rows and one that counts the others."""
        if len(self.rows) <= most + 1:  # a row that counts one takes the space of that one
            return self
        left = f"and {len(self.rows) - most} more in the run's files"
        rest = (left, *[""] * (len(self.header) - 1))
        return Section(self.title, self.header, (*self.rows[:most], rest))


def thinned(rows: Sequence[tuple[str, ...]], most: int) -> tuple[tuple[str, ...], ...]:
    """Return at most this number of rows, at equal distances, with the first and the last."""
    if len(rows) <= most:
        return tuple(rows)
    last = len(rows) - 1
    return tuple(rows[round(number * last / (most - 1))] for number in range(most))
