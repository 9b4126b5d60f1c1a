"""Values that tests add to a run's metrics with `mlps_run.record`, with unit and direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.metric.declaration import AnyMetric, Better, Description, default_title
from mlpstorage_bench.paths import slugify
from mlpstorage_bench.results.json_files import copied_json
from mlpstorage_bench.results.metadata_parts import MetricFacts
from mlpstorage_bench.units import unit_named


@dataclass
class RecordedValues:
    """Values by name, and the descriptions of those that no benchmark type declares."""

    declared: Sequence[AnyMetric]
    """Metrics of the run's benchmark type."""
    values: dict[str, object] = field(default_factory=dict)
    descriptions: dict[str, MetricFacts] = field(default_factory=dict)

    def add(self, name: str, value: object, unit: str, better: Better | None) -> None:
        """Add a value, or replace the one of this name; InvalidInputError for a wrong argument."""
        if slugify(name) != name:
            raise InvalidInputError("mlps_run.record", name, "letters, digits, '.', '_' and '-'")
        if not isinstance(unit, str):
            raise InvalidInputError(f"mlps_run.record {name}: unit", unit, "a text such as GiB/s")
        declared = {metric.name: metric for metric in self.declared}.get(name)
        if declared is not None and unit not in ("", declared.unit.name):
            raise InvalidInputError(
                f"mlps_run.record {name}: unit", unit, f"{declared.unit.name}, as of the metric"
            )
        if better not in (None, *get_args(Better)):
            raise InvalidInputError(
                f"mlps_run.record {name}: better", better, ", ".join(get_args(Better))
            )
        try:
            copied_json(value)
        except (TypeError, ValueError) as error:
            raise InvalidInputError(
                f"mlps_run.record {name}", value, "a value that JSON can hold", hint=str(error)
            ) from error
        self.values[name] = value
        if declared is None:
            described = Description(name, default_title(name), unit_named(unit), better)
            self.descriptions[name] = MetricFacts.of(described)
