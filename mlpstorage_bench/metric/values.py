"""Values of metrics by name, as JSON holds them: numbers, texts, truths and records."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import cast

Values = Mapping[str, object]
"""Metrics of one trial or case by name; a metric's unit tells which kind of value it has."""


def number_of(value: object) -> float | None:
    """Return a value that is one finite number; None for all others, also for truths."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # a whole number beyond those of floating point
        return None


def numbers_of(values: Values) -> dict[str, float]:
    """Return the metrics whose value is one finite number."""
    numbers = ((name, number_of(value)) for name, value in values.items())
    return {name: number for name, number in numbers if number is not None}


def numbers_in(trials: Sequence[Values], name: str) -> list[float]:
    """Return a metric's values of the trials that have one; TypeError if one is no number."""
    known = [trial[name] for trial in trials if trial[name] is not None]
    for value in known:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name}: {value!r} is no number")
    return cast("list[float]", known)


def as_json(values: Values) -> dict[str, object]:
    """Return metrics with records as JSON objects."""
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return [_plain(one) for one in value] if isinstance(value, list) else value
