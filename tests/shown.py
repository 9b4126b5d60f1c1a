"""A run in every form in which the history, the gate and reports show it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from mlpstorage_bench.gate.series import series_from_metadata
from mlpstorage_bench.history.filters import RunFilter
from mlpstorage_bench.history.index import Index
from mlpstorage_bench.history.metadata_files import FileState
from mlpstorage_bench.history.reading import run_of
from mlpstorage_bench.report.history_table import history_csv, history_json, history_lines
from mlpstorage_bench.report.markdown import to_markdown
from mlpstorage_bench.report.render import to_html
from mlpstorage_bench.report.run_page import run_lines
from mlpstorage_bench.report.run_report import build_report
from mlpstorage_bench.results.run_metadata import RunMetadata

NAME = "x_metadata.json"


def show(metadata: RunMetadata, index: Index) -> None:
    """Enter a run into the index, in place of the previous one, and show it in every form.

    Lines for the terminal are printable, and JSON has no constants beyond its standard.
    """
    file = run_of(metadata, Path(f"/{NAME}"))
    index.write([(FileState(NAME, 1, 1, 1), file)])
    (past,) = index.runs(RunFilter())
    assert past == replace(file.run, file=past.file)
    lines = history_lines([past], index.listed())
    lines += run_lines(past, metadata, index.measured_in(index.results_dir / NAME), 120)
    assert all(line.isprintable() for line in lines)
    history_csv([past], index.listed())
    json.loads(history_json([past], index.listed(), []), parse_constant=_refuse)
    report = build_report(metadata)
    assert all(line.isprintable() for line in to_markdown(report).splitlines())
    to_html(report)
    series_from_metadata(metadata)


def _refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is not JSON")
