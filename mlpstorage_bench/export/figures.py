"""Figures of a run with the labels under which other programs keep them.

Names, units and meanings come from the descriptions in the run's metadata: no metric is known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlpstorage_bench.history.descriptions import descriptions_of
from mlpstorage_bench.history.reading import ALL_TRIALS, WHOLE_RUN
from mlpstorage_bench.metric.declaration import Description, default_title
from mlpstorage_bench.metric.values import Values, number_of, numbers_of
from mlpstorage_bench.results.run_metadata import RunMetadata
from mlpstorage_bench.units import unit_named


@dataclass(frozen=True)
class Labels:
    """Labels of a run's figures; '' where its metadata has no value."""

    run: str
    benchmark: str
    model: str
    mode: str
    system: str
    hosts: str
    """Names, with commas between them."""


@dataclass(frozen=True)
class Figure:
    """One value of one metric."""

    case: str
    trial: int
    """Number from 1; ALL_TRIALS for all of them together."""
    metric: Description
    value: float | str
    """A number, 0 or 1 for a truth, or a text."""


def labels_of(metadata: RunMetadata) -> Labels:
    """Return the labels of a run."""
    own = metadata.own
    return Labels(
        run=own.run_id or metadata.run_datetime,
        benchmark=metadata.benchmark_type,
        model=metadata.model,
        mode=own.mode or "",
        system=own.systemname or "",
        hosts=",".join(metadata.hosts),
    )


def figures_of(metadata: RunMetadata) -> Iterator[Figure]:
    """Yield the figures of all cases over their trials, in the order of tables, then each trial's.

    Records, such as latencies by size, are in the run's metadata alone.
    """
    described = descriptions_of(metadata)

    def metric(name: str) -> Description:
        return described.get(name) or Description(name, default_title(name), unit_named(""))

    def figures(case: str, trial: int, values: Values) -> Iterator[Figure]:
        known = [name for name in described if name in values]
        for name in dict.fromkeys([*known, *values]):
            value = _value(values[name])
            if value is not None:
                yield Figure(case, trial, metric(name), value)

    yield from figures(WHOLE_RUN, ALL_TRIALS, metadata.numbers)
    for case, values in metadata.values_by_case.items():
        yield from figures(case, ALL_TRIALS, values)
    for case, facts in metadata.cases.items():
        for trial in facts.trials:
            yield from figures(case, trial.trial, numbers_of(trial.metrics))


def _value(value: object) -> float | str | None:
    """Return a value that one figure can hold; None for records and empty texts."""
    if isinstance(value, bool):
        return int(value)
    return value or None if isinstance(value, str) else number_of(value)
