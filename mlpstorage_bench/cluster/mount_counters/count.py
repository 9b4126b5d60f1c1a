"""Counts of the kernel, as words of a text."""

from __future__ import annotations

_MOST_DIGITS = 20
"""Digits of the largest count of 64 bits."""


def parse_count(word: str) -> int | None:
    """Return a count of at most 64 bits or so; None if the word is none."""
    is_count = word.isascii() and word.isdecimal() and len(word) <= _MOST_DIGITS
    return int(word) if is_count else None
