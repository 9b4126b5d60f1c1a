"""Names that become a part of a path."""

from __future__ import annotations

import re

from mlpstorage_bench.errors import InvalidInputError

_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")


def check_segment(source: str, value: str) -> str:
    """Return the value if it may be a directory's name in the tree; InvalidInputError if not."""
    if not _SEGMENT.fullmatch(value) or value in {".", ".."}:
        raise InvalidInputError(
            source, value, "letters, digits, '.', '_' and '-', and neither '.' nor '..'"
        )
    return value


def as_segment(text: str) -> str:
    """Return text with what a directory's name in the tree may not have replaced by '-'."""
    segment = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-")
    return segment or "unnamed"
