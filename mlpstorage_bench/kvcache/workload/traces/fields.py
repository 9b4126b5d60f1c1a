"""Numbers in rows of traces: within limits, or refused with the name of their field."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from mlpstorage_bench.escaping import shortened

Row = Mapping[str, Any]
"""A line of a trace: text by column of CSV, or a JSON object."""
MOST_TOKENS = 1 << 24
"""Most tokens of a context or an answer."""
MOST_BYTES = 1 << 40
"""Largest object of an operation."""
LATEST_S = 1e11
"""Latest time: traces count from their start, or from 1970."""
LARGEST_ID = 1 << 64
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?")
_LONGEST_NUMBER = 50


class FieldError(ValueError):
    """A field of a row cannot be used."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


def count(row: Row, field: str, most: int = MOST_TOKENS, least: int = 0) -> int:
    """Return a whole number from a field; FieldError if it is none or beyond the limits."""
    value = number(row, field)
    if not least <= value <= most or value != int(value):
        raise _refused(row, field, f"a whole number from {least} to {most}")
    return int(value)


def seconds(row: Row, field: str, per_s: float = 1.0) -> float:
    """Return a time in seconds from a field that counts `per_s` in a second."""
    value = number(row, field)
    if not 0 <= value <= LATEST_S * per_s:
        raise _refused(row, field, f"a time from 0 to {LATEST_S * per_s:.0f}")
    return value / per_s


def number(row: Row, field: str) -> int | float:
    """Return a finite number from a field that is a number or its text."""
    value = _value(row, field)
    if isinstance(value, str):
        value = value.strip()
        if len(value) > _LONGEST_NUMBER or not _NUMBER.fullmatch(value):
            raise _refused(row, field, "a number")
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused(row, field, "a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise _refused(row, field, "a finite number")
    return value


def ids(row: Row, field: str) -> list[int]:
    """Return a list of whole numbers that are names."""
    listed = _value(row, field)
    if not isinstance(listed, list):
        raise _refused(row, field, "a list of numbers")
    for one in listed:
        if not isinstance(one, int) or isinstance(one, bool) or abs(one) >= LARGEST_ID:
            raise FieldError(
                field, f"It has {shortened(repr(one))}; accepted: whole numbers below 2^64"
            )
    return listed


def text(row: Row, field: str) -> str:
    """Return a field that is text."""
    value = _value(row, field)
    if not isinstance(value, str):
        raise _refused(row, field, "text")
    return value


def _value(row: Row, field: str) -> Any:
    if field not in row:
        raise FieldError(field, "It is missing")
    return row[field]


def _refused(row: Row, field: str, accepted: str) -> FieldError:
    return FieldError(field, f"It is {shortened(repr(row[field]))}; accepted: {accepted}")
