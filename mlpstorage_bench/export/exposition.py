"""Figures in the text formats of Prometheus and OpenMetrics, as prometheus_client writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from mlpstorage_bench.escaping import for_terminal, shortened
from mlpstorage_bench.export.base_units import PREFIX, base_unit, exposed_name
from mlpstorage_bench.export.figures import Figure, Labels, figures_of, labels_of
from mlpstorage_bench.history.reading import ALL_TRIALS
from mlpstorage_bench.metric.declaration import Description
from mlpstorage_bench.results.run_metadata import RunMetadata, moment

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import CollectorRegistry

BEGINNING = f"# HELP {PREFIX}run"
"""First characters of an own file: that of the run's facts comes first."""


def prometheus_text(metadata: RunMetadata) -> str:
    """Return a run's figures in Prometheus's text format, without times: collectors add theirs."""
    from prometheus_client.exposition import generate_latest  # noqa: PLC0415 - an extra

    return _text(metadata, None, generate_latest)


def openmetrics_text(metadata: RunMetadata) -> str:
    """Return a run's figures in OpenMetrics' format, at the run's end, or start if it has none."""
    from prometheus_client.openmetrics.exposition import generate_latest  # noqa: PLC0415 - an extra

    own = metadata.own
    ended = metadata.started if own.end_datetime is None else moment(own.end_datetime)
    return _text(metadata, ended, generate_latest)


def _text(
    metadata: RunMetadata,
    at: datetime | None,
    generate: Callable[[CollectorRegistry], bytes],
) -> str:
    from prometheus_client.registry import Collector, CollectorRegistry  # noqa: PLC0415 - an extra

    families = _Families(labels_of(metadata), None if at is None else at.timestamp())
    families.add_run(metadata)
    families.add_objectives(metadata)
    for figure in figures_of(metadata):
        if figure.trial == ALL_TRIALS:
            families.add(figure)

    class Own(Collector):
        """The run's metrics."""

        def collect(self) -> Iterable[Metric]:
            return families.all

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Own())
    return generate(registry).decode()


class _Families:
    """Metrics of Prometheus by name, each with a value for each case."""

    def __init__(self, labels: Labels, at_s: float | None) -> None:
        texts = asdict(labels) | {"hosts": shortened(labels.hosts)}  # each sample repeats them
        self._labels = {name: for_terminal(text) for name, text in texts.items()}
        self._at_s = at_s
        self._by_name: dict[str, Metric] = {}
        self._seen: set[tuple[str, ...]] = set()
        """Names and labels that have a sample: of two, collectors would refuse the whole file."""

    @property
    def all(self) -> list[Metric]:
        """The metrics, in the order in which they were added."""
        return [*self._by_name.values()]

    def add_run(self, metadata: RunMetadata) -> None:
        """Add what is known of the run itself."""
        own = metadata.own
        self._add(
            f"{PREFIX}run_info",
            "A run of mlpstorage_bench: what it measured and where.",
            "",
            {"status": own.status, "tags": ",".join(own.tags)},
            1,
        )
        started = metadata.started.timestamp()
        self._add(
            f"{PREFIX}run_start_timestamp_seconds", "Start of the run.", "seconds", {}, started
        )
        if metadata.num_processes is not None:
            self._add(f"{PREFIX}run_ranks", "Ranks of the run.", "", {}, metadata.num_processes)
        if metadata.runtime is not None:
            name = f"{PREFIX}run_duration_seconds"
            self._add(name, "Time that the run took.", "seconds", {}, metadata.runtime)
        if own.tests_passed is not None:
            text = "1 if the run's tests passed, whatever the gate said."
            self._add(f"{PREFIX}run_passed", text, "", {}, int(own.tests_passed))

    def add_objectives(self, metadata: RunMetadata) -> None:
        """Add each objective of a case: its limit, what was measured, and whether it was met."""
        for case, facts in metadata.cases.items():
            for one in facts.objectives:
                percentile = one.percentile.removesuffix("_ms")
                labels = {"case": case, "objective": one.objective, "percentile": percentile}
                name = f"{PREFIX}objective"
                limit_s = one.limit_ms / 1000
                self._add(
                    f"{name}_limit_seconds", "Limit of an objective.", "seconds", labels, limit_s
                )
                if one.seen_ms is not None:
                    seen_s = one.seen_ms / 1000
                    self._add(
                        f"{name}_measured_seconds",
                        "Latency that an objective limits.",
                        "seconds",
                        labels,
                        seen_s,
                    )
                self._add(f"{name}_samples", "Samples of that latency.", "", labels, one.samples)
                self._add(f"{name}_met", "1 if the limit was kept.", "", labels, int(one.is_met))

    def add(self, figure: Figure) -> None:
        """Add a figure; a text is the label `value` of a metric that is 1."""
        metric, unit = figure.metric, base_unit(figure.metric.unit)
        labels = {"case": figure.case, "metric": metric.name}
        if isinstance(figure.value, str):
            name = f"{exposed_name(metric)}_info"
            self._add(name, _help(metric), "", {**labels, "value": shortened(figure.value)}, 1)
        else:
            value = figure.value * unit.factor
            labels["unit"] = unit.name or metric.unit.name
            self._add(exposed_name(metric), _help(metric), unit.name, labels, value)

    def _add(
        self, name: str, documentation: str, unit: str, labels: dict[str, str], value: float
    ) -> None:
        from prometheus_client.metrics_core import Metric  # noqa: PLC0415 - an extra

        if name not in self._by_name:
            self._by_name[name] = Metric(name, for_terminal(documentation), "gauge", unit)
        shown = {key: for_terminal(text) for key, text in labels.items()}
        series = (name, *shown, *shown.values())
        if series not in self._seen:  # files of others can have a case or an objective twice
            self._seen.add(series)
            self._by_name[name].add_sample(
                name, {**self._labels, **shown}, value, timestamp=self._at_s
            )


def _help(metric: Description) -> str:
    """Return the text of HELP: the declaration's, or the title of what nobody described."""
    return metric.meaning or f"{metric.title[:1].upper()}{metric.title[1:]}."
