"""Values of metrics as cells of tables, by the metrics' descriptions."""

from __future__ import annotations

from collections.abc import Mapping

from mlpstorage_bench.metric.declaration import Description
from mlpstorage_bench.metric.values import Values, number_of
from mlpstorage_bench.units import BYTES, Unit, size_text

_MORE_DECIMALS = 1
"""Decimals that a report adds to those of a narrow table."""


def narrow_cell(metric: Description, values: Values, described: Mapping[str, Description]) -> str:
    """Return a metric's value with its companion, or a mean ± half the range over trials."""
    cell = text_of(metric.unit, values.get(metric.name))
    beside = _beside(metric, values, described)
    if beside is not None:
        text = beside.unit.text(values[beside.name])
        cell += f" {text}" if metric.beside_from is None else f" (≤{text})"
    ends = ends_of(metric, values)
    mean = number_of(values.get(metric.name))
    if ends is None or not mean or values.get("trials") == 1:
        return cell
    return f"{cell} ±{(ends[1] - ends[0]) / 2 / mean:.0%}"


def wide_cell(metric: Description, values: Values, described: Mapping[str, Description]) -> str:
    """Return a value with its companion in words, or a mean [least … greatest]."""
    cell = metric.unit.text(values.get(metric.name), _MORE_DECIMALS)
    beside = _beside(metric, values, described)
    if beside is not None:
        bound = "" if metric.beside_from is None else "≤"
        cell += f" ({bound}{beside.unit.text(values[beside.name], _MORE_DECIMALS)} {beside.title})"
    ends = ends_of(metric, values)
    if ends is None:
        return cell
    low, high = (metric.unit.text(end, _MORE_DECIMALS) for end in ends)
    return f"{cell} [{low} … {high}]"


def text_of(unit: Unit, value: object) -> str:
    """Return a value as people read it: bytes in a unit of their size."""
    number = number_of(value)
    return size_text(number) if unit is BYTES and number is not None else unit.text(value)


def _beside(
    metric: Description, values: Values, described: Mapping[str, Description]
) -> Description | None:
    beside = described.get(metric.beside)
    if beside is None or values.get(metric.name) is None:
        return None
    value, least = values.get(beside.name), metric.beside_from
    if least is not None:
        number = number_of(value)
        return beside if number is not None and number >= least else None
    return None if value is None else beside


def ends_of(metric: Description, values: Values) -> tuple[float, float] | None:
    """Return the least and the greatest value over trials; None where they are not recorded."""
    low, high = (number_of(values.get(f"{metric.name}_{end}")) for end in ("min", "max"))
    return None if not metric.has_spread or low is None or high is None else (low, high)
