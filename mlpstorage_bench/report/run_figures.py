"""Figures of a run's cases, from the results that lie beside its metadata."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mlpstorage_bench.benchmark_type.interface import ResultFiles
from mlpstorage_bench.benchmark_type.records import CaseRecord
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.report.run_report import RunFigures
from mlpstorage_bench.results.convert import cases_of, read_document
from mlpstorage_bench.results.record import parse_record

BENCHMARK_JSON = "pytest_benchmark_{}.json"


def figures_of(cases: Iterable[CaseRecord], files: ResultFiles) -> RunFigures:
    """Return the figures of cases with all results of their ranks."""
    try:
        return RunFigures({case.case: files.figures(case) for case in cases})
    except MlpsError as error:
        return RunFigures(problem=_without(str(error)))


def read_figures(metadata: Path, files: ResultFiles) -> RunFigures:
    """Return the figures of the run whose metadata lies there.

    They are in pytest-benchmark's JSON of the run; without a readable one there are none.
    """
    path = metadata.parent / BENCHMARK_JSON.format(metadata.parent.name)
    try:
        document = read_document(path)
        record = parse_record(str(path), document.record)
        cases = cases_of(document, record)
    except MlpsError as error:
        return RunFigures(problem=_without(str(error)))
    return figures_of(cases, files)


def _without(problem: str) -> str:
    return f"latencies, shares of time and ranks are not drawn: {problem}"
