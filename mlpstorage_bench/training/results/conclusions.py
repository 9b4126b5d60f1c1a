"""Sentences on what the results of a run say about the storage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlpstorage_bench.benchmark_type.records import CaseRecord
from mlpstorage_bench.measure.ceiling import HARNESS
from mlpstorage_bench.metric.values import Values, number_of
from mlpstorage_bench.training.results.load_share import LoadShare
from mlpstorage_bench.training.workload.models import MODELS

_CACHED = 0.5
"""Share of the bytes from the page cache above which figures are not the storage's."""
_NOTEWORTHY_CACHED = 0.01
"""Share of the bytes from the page cache above which it is named beside the storage."""
_PERCENT = 100.0


def conclusions(cases: Sequence[CaseRecord]) -> list[str]:
    """Return a sentence on each training that has figures."""
    return [
        sentence
        for case in cases
        if case.metrics is not None
        for sentence in _of(case, case.metrics)
    ]


def _of(case: CaseRecord, metrics: Values) -> Iterator[str]:
    name, model = case.case, MODELS.get(str(case.parameters.get("model")))
    utilization = number_of(metrics.get("au_percentage"))
    if utilization is None or model is None:
        return
    cached = number_of(metrics.get("page_cache_share")) or 0.0
    demanded = _PERCENT * model.least_au
    least_named = _NOTEWORTHY_CACHED if utilization >= demanded else _CACHED
    if cached > least_named and case.parameters.get("io_mode") == "buffered":
        yield (
            f"Training {name} read through the page cache, as io_mode=buffered asks: that had "
            f"{cached:.0%} of the bytes, and the storage the rest. Accelerators were busy "
            f"{utilization:.1f} % of the time ({demanded:g} % are demanded)."
        )
        return
    if cached > _CACHED:
        yield (
            f"Do not take the figures of training {name} for those of the storage: the page cache "
            "had most of the bytes."
        )
        return
    late = number_of(metrics.get("late_share")) or 0.0
    waited = number_of(metrics.get("data_wait_share")) or 0.0
    load = LoadShare.of(case.parameters, model)
    with_load = f" with {load}" if load.settings else ""
    if utilization >= demanded and load.is_smaller:
        yield (
            f"Training {name}: accelerators were busy {utilization:.1f} % of the time{with_load}. "
            "That does not show whether the storage keeps them busy with the whole load, of which "
            f"{demanded:g} % are demanded."
        )
    elif utilization >= demanded:
        helper = f" and the page cache ({cached:.0%} of the bytes)"
        yield (
            f"Training {name}: the storage{helper if cached > _NOTEWORTHY_CACHED else ''} kept the "
            f"accelerators busy{with_load}, {utilization:.1f} % of the time "
            f"({demanded:g} % are demanded)."
        )
    elif metrics.get("limited_by") == HARNESS:
        yield (
            f"Training {name}: accelerators were busy {utilization:.1f} % of the time{with_load}, "
            "and this host was the limit, not the storage. Use more hosts, or larger samples."
        )
    elif late > waited:
        yield (
            f"Training {name}: accelerators were busy {utilization:.1f} % of the time, and this "
            f"host was the limit, not the storage: computations ended late by {late:.1%} of the "
            f"time, and waited for data {waited:.1%}. Use fewer ranks on a host, or more hosts."
        )
    else:
        yield (
            f"Training {name}: accelerators waited for the storage{with_load}; they were busy "
            f"{utilization:.1f} % of the time ({demanded:g} % are demanded)."
        )
