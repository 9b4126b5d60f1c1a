"""A run that has a value of every declared metric."""

from __future__ import annotations

from typing import Any

from mlpstorage_bench.kvcache.results.metrics.declared import metrics
from mlpstorage_bench.results.run_metadata import RunMetadata, metadata_of
from tests.past_runs import run

_OF_BLOCKS = {"objective": "read_block", "samples": 870, "of": "blocks"}
OBJECTIVES = [
    {**_OF_BLOCKS, "percentile": "p95_ms", "limit_ms": 50.0, "seen_ms": 41.0},
    {**_OF_BLOCKS, "percentile": "p99_ms", "limit_ms": 60.0, "seen_ms": 75.0},
]


def whole_run(**own: Any) -> RunMetadata:
    """Return a run of one trial; a number is 2, a text `storage`."""
    declared = metrics()
    values = {
        metric.name: 2.0
        if metric.unit.is_number
        else "storage"
        if metric.unit.name == "text"
        else True
        for metric in declared
        if metric.unit.kind != "record"
    }
    spread = [metric.name for metric in declared if metric.across_trials.has_spread]
    ends = {f"{name}_{end}": 2.0 for name in spread for end in ("min", "max")}
    described = {metric.name: metric.description.to_json() for metric in declared}
    additions = {
        "systemname": "array",
        "end_datetime": "2026-11-01T12:05:00+00:00",
        "tests_passed": True,
        "metrics": {"1": {**values, **ends}},
        "metric_descriptions": described,
        **own,
    }
    content = run(1, trials=(1.5,), own=additions)
    content["mlpstorage"]["cases"]["1"]["objectives"] = OBJECTIVES
    return metadata_of(content)
