"""The metrics of a benchmark type: its own, by subject, and those that plugins add."""

from __future__ import annotations

from collections.abc import Sequence

from mlpstorage_bench.metric.declaration import AnyMetric, Measured, declared_in


class MetricTable:
    """Declarations by subject, in the order in which tables show them."""

    def __init__(self, *groups: type[Measured]) -> None:
        self.groups = groups
        """Subjects, in the order of the page of metrics."""
        self._added: list[AnyMetric] = []
        """Metrics that plugins of this session declare."""

    def use_added(self, added: Sequence[AnyMetric]) -> None:
        """Use the metrics that plugins declare, in place of those of a session before."""
        self._added[:] = added

    def metrics(self) -> tuple[AnyMetric, ...]:
        """Return the declarations of all subjects, and those that plugins added."""
        return (*declared_in(*self.groups), *self._added)
