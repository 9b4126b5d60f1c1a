"""All metrics of the training benchmark, in the order in which tables show them."""

from __future__ import annotations

from collections.abc import Sequence

from mlpstorage_bench.metric.declaration import AnyMetric, Measured, declared_in
from mlpstorage_bench.training.results.metrics.accelerators import Accelerators
from mlpstorage_bench.training.results.metrics.reads import Reads
from mlpstorage_bench.trial.metrics.audits import Audits
from mlpstorage_bench.trial.metrics.limits import Harness, Limits
from mlpstorage_bench.trial.metrics.windows import Windows

GROUPS: tuple[type[Measured], ...] = (Accelerators, Reads, Audits, Limits, Harness, Windows)
"""Subjects, in the order of docs/metrics.md."""

_ADDED: list[AnyMetric] = []
"""Metrics that plugins of this session declare."""


def use_added(added: Sequence[AnyMetric]) -> None:
    """Use the metrics that plugins declare, in place of those of a session before."""
    _ADDED[:] = added


def metrics() -> tuple[AnyMetric, ...]:
    """Return the declarations of all subjects, and those that plugins added."""
    return (*declared_in(*GROUPS), *_ADDED)
