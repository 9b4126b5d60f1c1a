"""A finished trial as JSON, and back: what later trials of its case are pooled with.

The files of ranks have their figures, but not all histograms that are added up over trials.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, fields
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import TypeAdapter

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.kvcache.config.request_counters import ClassCounters, RequestCounters
from mlpstorage_bench.kvcache.results.metrics.window import (
    PreconditioningEvidence,
    SteadinessEvidence,
)
from mlpstorage_bench.kvcache.results.samples import PooledHistograms
from mlpstorage_bench.kvcache.results.trial_result import TrialResult
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.stragglers import Straggler
from mlpstorage_bench.measure.time_series import TimeSeries
from mlpstorage_bench.metric.values import as_json
from mlpstorage_bench.trial.outcome import StoredTrial
from mlpstorage_bench.trial.stored_operations import restored_operations, stored_operations

_RECORDS: Mapping[str, TypeAdapter[Any]] = MappingProxyType(
    {
        "stragglers": TypeAdapter(list[Straggler]),
        "steadiness": TypeAdapter(list[SteadinessEvidence]),
        "warm_up": TypeAdapter(list[SteadinessEvidence]),
        "preconditioning": TypeAdapter(list[PreconditioningEvidence]),
    }
)
"""Metrics whose values are records; those of all others are as JSON holds them."""
_SERIES: TypeAdapter[TimeSeries | None] = TypeAdapter(TimeSeries | None)
_Counted = TypeVar("_Counted", RequestCounters, ClassCounters)


KVStoredTrial = StoredTrial[TrialResult, PooledHistograms]
"""The results of a trial that did not fail, on rank 0."""


def stored_trial(trial: KVStoredTrial) -> Json:
    """Return a trial as JSON."""
    result, samples = trial.result, trial.samples
    return {
        "trial": result.trial,
        "values": as_json(result.values),
        "classes": {name: _counts(one) for name, one in result.classes.items()},
        "corruption": result.corruption,
        "requests": _counts(samples.requests),
        "operations": stored_operations(samples.operations),
        "lateness": samples.lateness.to_dict(),
        "time_series": None if trial.series is None else asdict(trial.series),
    }


def restored_trial(content: Json) -> KVStoredTrial:
    """Return the trial that `stored_trial` has stored; ValueError for other JSON."""
    try:
        return _restored(dict(content))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no stored trial: {error}") from error


def _restored(content: dict[str, Any]) -> KVStoredTrial:
    values = {
        name: _RECORDS[name].validate_python(value) if name in _RECORDS else value
        for name, value in content["values"].items()
    }
    result = TrialResult(
        values=values,
        trial=int(content["trial"]),
        classes=_classes(content["classes"]),
        corruption=str(content["corruption"]),
    )
    samples = PooledHistograms(
        _restored_counts(RequestCounters(), content["requests"]),
        restored_operations(content["operations"]),
        Histogram.from_dict(content["lateness"]),
    )
    return StoredTrial(result, samples, _SERIES.validate_python(content["time_series"]))


def _counts(counted: RequestCounters | ClassCounters) -> Json:
    """Return every field: numbers, histograms, counters and statistics by class."""
    return {one.name: _plain(getattr(counted, one.name)) for one in fields(counted) if one.init}


def _plain(value: Any) -> object:
    if isinstance(value, Histogram):
        return value.to_dict()
    if isinstance(value, Counter):
        return dict(value)
    if isinstance(value, dict):
        return {name: _counts(one) for name, one in value.items()}
    return value


def _restored_counts(empty: _Counted, content: Mapping[str, Any]) -> _Counted:
    """Fill an empty object from its fields in JSON, and return it."""
    for one in (one for one in fields(empty) if one.init):
        value, before = content[one.name], getattr(empty, one.name)
        if isinstance(before, Histogram):
            value = Histogram.from_dict(value)
        elif isinstance(before, Counter):
            value = Counter(value)
        elif isinstance(before, dict):
            value = _classes(value)
        elif not isinstance(value, int):
            raise TypeError(f"{one.name}: {value!r} is no number")
        setattr(empty, one.name, value)
    return empty


def _classes(content: Mapping[str, Any]) -> dict[str, ClassCounters]:
    return {name: _restored_counts(ClassCounters(), one) for name, one in content.items()}
