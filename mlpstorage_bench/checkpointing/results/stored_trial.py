"""A finished checkpoint as JSON, and back: the results with which later ones are pooled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

from pydantic import TypeAdapter

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.checkpointing.config.parameters import Kind
from mlpstorage_bench.checkpointing.results.metrics.ranks import RankFigures
from mlpstorage_bench.checkpointing.results.rank_checkpoint import CheckpointSamples
from mlpstorage_bench.checkpointing.results.trial_result import CheckpointTrial
from mlpstorage_bench.measure.stragglers import Straggler
from mlpstorage_bench.measure.time_series import TimeSeries
from mlpstorage_bench.metric.values import as_json
from mlpstorage_bench.trial.outcome import StoredTrial
from mlpstorage_bench.trial.stored_operations import restored_operations, stored_operations

StoredCheckpoint = StoredTrial[CheckpointTrial, CheckpointSamples]

_SERIES: TypeAdapter[TimeSeries | None] = TypeAdapter(TimeSeries | None)
_FIGURES: TypeAdapter[list[RankFigures]] = TypeAdapter(list[RankFigures])
_STRAGGLERS: TypeAdapter[list[Straggler]] = TypeAdapter(list[Straggler])


def stored_trial(trial: StoredCheckpoint) -> Json:
    """Return a checkpoint as JSON."""
    result = trial.result
    return {
        "trial": result.trial,
        "kind": result.kind,
        "values": as_json(result.values),
        "corruption": result.corruption,
        "operations": stored_operations(trial.samples.operations),
        "time_series": None if trial.series is None else asdict(trial.series),
    }


def restored_trial(content: Json) -> StoredCheckpoint:
    """Return the checkpoint that `stored_trial` has stored; ValueError for other JSON."""
    try:
        return _restored(content)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no stored checkpoint: {error}") from error


def _restored(content: Json) -> StoredCheckpoint:
    values = dict(cast("Mapping[str, object]", content["values"]))
    values["by_rank"] = _FIGURES.validate_python(values["by_rank"])
    values["stragglers"] = _STRAGGLERS.validate_python(values["stragglers"])
    result = CheckpointTrial(
        values=values,
        trial=cast("int", content["trial"]),
        kind=cast("Kind", content["kind"]),
        corruption=str(content["corruption"]),
    )
    operations = cast("list[Mapping[str, Any]]", content["operations"])
    samples = CheckpointSamples(restored_operations(operations))
    return StoredTrial(result, samples, _SERIES.validate_python(content["time_series"]))
