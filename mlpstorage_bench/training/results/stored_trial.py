"""A finished trial as JSON, and back: what later trials of its training are pooled with."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.measure.stragglers import Straggler
from mlpstorage_bench.measure.time_series import TimeSeries
from mlpstorage_bench.metric.values import as_json
from mlpstorage_bench.training.results.samples import TrainingSamples
from mlpstorage_bench.training.results.trial_result import TrainingTrial
from mlpstorage_bench.trial.outcome import StoredTrial
from mlpstorage_bench.trial.stored_operations import restored_operations, stored_operations

StoredTraining = StoredTrial[TrainingTrial, TrainingSamples]
_STRAGGLERS: TypeAdapter[list[Straggler]] = TypeAdapter(list[Straggler])
_SERIES: TypeAdapter[TimeSeries | None] = TypeAdapter(TimeSeries | None)


def stored_trial(trial: StoredTraining) -> Json:
    """Return a trial as JSON."""
    result, samples = trial.result, trial.samples
    return {
        "trial": result.trial,
        "values": as_json(result.values),
        "corruption": result.corruption,
        "operations": stored_operations(samples.operations),
        "time_series": None if trial.series is None else asdict(trial.series),
    }


def restored_trial(content: Json) -> StoredTraining:
    """Return the trial that `stored_trial` has stored; ValueError for other JSON."""
    try:
        return _restored(dict(content))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no stored trial: {error}") from error


def _restored(content: dict[str, Any]) -> StoredTraining:
    values = dict(content["values"])
    values["stragglers"] = _STRAGGLERS.validate_python(values["stragglers"])
    result = TrainingTrial(
        values=values, trial=int(content["trial"]), corruption=str(content["corruption"])
    )
    samples = TrainingSamples(restored_operations(content["operations"]))
    return StoredTrial(result, samples, _SERIES.validate_python(content["time_series"]))
