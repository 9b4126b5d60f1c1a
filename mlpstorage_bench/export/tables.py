"""Figures as rows of CSV, and as JSON, in the units of docs/metrics.md."""

from __future__ import annotations

from dataclasses import asdict, fields

from mlpstorage_bench.export.figures import Figure, Labels, figures_of, labels_of
from mlpstorage_bench.history.reading import ALL_TRIALS
from mlpstorage_bench.report.history_table import as_csv
from mlpstorage_bench.results.json_files import json_text
from mlpstorage_bench.results.run_metadata import RunMetadata

_LABELS = tuple(field.name for field in fields(Labels))
_HEADER = (*_LABELS, "started", "case", "trial", "metric", "unit", "better", "value")
CSV_BEGINNING = f"{','.join(_HEADER)}\n"
JSON_BEGINNING = '{\n  "written_by": "mlpstorage_bench",\n'


def csv_text(metadata: RunMetadata) -> str:
    """Return a row for each figure; of all trials together, the trial is empty."""
    run = (*asdict(labels_of(metadata)).values(), metadata.started.isoformat())
    return as_csv(_HEADER, [(*run, *_cells(one)) for one in figures_of(metadata)])


def _cells(figure: Figure) -> tuple[object, ...]:
    metric = figure.metric
    trial = None if figure.trial == ALL_TRIALS else figure.trial
    unit = metric.unit.name
    return (figure.case, trial, metric.name, unit, metric.better, figure.value)


def json_of(metadata: RunMetadata) -> str:
    """Return an object with the run's labels, its figures, and what each metric means."""
    figures = [*figures_of(metadata)]
    metrics = {one.metric.name: one.metric.to_json() for one in figures}
    return json_text(
        {
            "written_by": "mlpstorage_bench",
            **asdict(labels_of(metadata)),
            "hosts": list(metadata.hosts),
            "started": metadata.started.isoformat(),
            "status": metadata.own.status,
            "tags": list(metadata.own.tags),
            "objectives": [
                {"case": case, **asdict(one), "is_met": one.is_met}
                for case, facts in metadata.cases.items()
                for one in facts.objectives
            ],
            "metrics": metrics,
            "figures": [
                {
                    "case": one.case,
                    "trial": None if one.trial == ALL_TRIALS else one.trial,
                    "metric": one.metric.name,
                    "unit": one.metric.unit.name,
                    "value": one.value,
                }
                for one in figures
            ],
        }
    )
