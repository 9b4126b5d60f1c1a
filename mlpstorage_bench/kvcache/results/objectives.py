"""Check of objectives against the samples of all trials of a case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlpstorage_bench.benchmark_type.records import ObjectiveRecord
from mlpstorage_bench.kvcache.config.slo import (
    OPERATIONS,
    PERCENTILES,
    ClassName,
    Objective,
    OperationName,
)
from mlpstorage_bench.kvcache.results.samples import PooledHistograms
from mlpstorage_bench.kvcache.results.trial_ranks import pooled_span
from mlpstorage_bench.measure.histogram import Histogram


def judged(
    objectives: Sequence[Objective], samples: PooledHistograms
) -> tuple[ObjectiveRecord, ...]:
    """Return each limit with the percentile that was measured, and its number of samples."""
    return tuple(_judged(objectives, samples))


def _judged(
    objectives: Sequence[Objective], samples: PooledHistograms
) -> Iterator[ObjectiveRecord]:
    for objective in objectives:
        latency = _latency(objective.name, samples)
        operation = OPERATIONS.get(objective.name)
        for percentile, limit_ms in objective.slo.limits.items():
            yield ObjectiveRecord(
                objective=objective.name,
                percentile=percentile,
                limit_ms=limit_ms,
                seen_ms=latency.percentile_ms(PERCENTILES[percentile]),
                samples=latency.count,
                of="requests" if operation is None else operation.of,
            )


def _latency(name: ClassName | OperationName, samples: PooledHistograms) -> Histogram:
    operation = OPERATIONS.get(name)
    if operation is not None:
        return pooled_span(samples, operation.kind, operation.span)
    of_class = samples.requests.classes.get(name)
    return Histogram() if of_class is None else of_class.latency
