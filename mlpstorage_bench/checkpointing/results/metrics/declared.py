"""All metrics of checkpointing, in the order in which tables show them."""

from __future__ import annotations

from collections.abc import Sequence

from mlpstorage_bench.checkpointing.results.metrics.checkpoints import Checkpoints
from mlpstorage_bench.checkpointing.results.metrics.latencies import Latencies
from mlpstorage_bench.checkpointing.results.metrics.ranks import Ranks
from mlpstorage_bench.metric.declaration import AnyMetric, Measured, declared_in
from mlpstorage_bench.trial.metrics.audits import Audits
from mlpstorage_bench.trial.metrics.limits import Harness, Limits
from mlpstorage_bench.trial.metrics.windows import Windows

GROUPS: tuple[type[Measured], ...] = (
    *(Checkpoints, Latencies, Ranks, Audits, Limits, Harness, Windows),
)
"""Subjects, in the order of the page of metrics."""

_ADDED: list[AnyMetric] = []
"""Metrics that plugins of this session declare."""


def use_added(added: Sequence[AnyMetric]) -> None:
    """Use the metrics that plugins declare, in place of those of a session before."""
    _ADDED[:] = added


def metrics() -> tuple[AnyMetric, ...]:
    """Return the declarations of all subjects, and those that plugins added."""
    return (*declared_in(*GROUPS), *_ADDED)
