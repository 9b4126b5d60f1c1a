"""Statistics of operations as JSON, and back: what later trials of a case are pooled with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.operation_statistics import OperationKey, OperationStatistics


def stored_operations(
    operations: Mapping[OperationKey, OperationStatistics],
) -> list[Json]:
    """Return statistics by key for JSON."""
    return [{"key": list(key), "counts": one.to_dict()} for key, one in operations.items()]


def restored_operations(
    content: Iterable[Mapping[str, Any]],
) -> dict[OperationKey, OperationStatistics]:
    """Return what `stored_operations` has stored; KeyError or TypeError for other JSON."""
    return {OperationKey(*one["key"]): _restored(one["counts"]) for one in content}


def _restored(counts: Mapping[str, Any]) -> OperationStatistics:
    restored = OperationStatistics()
    for one in (one for one in fields(restored) if one.init):
        value = counts[one.name]
        if isinstance(getattr(restored, one.name), Histogram):
            value = Histogram.from_dict(value)
        elif not isinstance(value, int):
            raise TypeError(f"{one.name}: {value!r} is no number")
        setattr(restored, one.name, value)
    return restored
