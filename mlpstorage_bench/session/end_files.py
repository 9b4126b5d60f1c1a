"""Reports and exports at a session's end: each is written, whatever became of the others."""

from __future__ import annotations

import sqlite3
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.export.write import write_export
from mlpstorage_bench.history.archive import History, HistoryError
from mlpstorage_bench.report.render import write_report
from mlpstorage_bench.report.run_figures import figures_of
from mlpstorage_bench.report.run_history import trends_until
from mlpstorage_bench.report.run_report import build_report
from mlpstorage_bench.report.trends import Trend
from mlpstorage_bench.results.run_metadata import RunMetadata
from mlpstorage_bench.session.file_arguments import check_files_of_run
from mlpstorage_bench.session.run import Run
from mlpstorage_bench.session.session import MlpsSession


def problems_of(step: Callable[[], object]) -> list[str]:
    """Do a step that other steps or ranks wait for, and return its error messages."""
    try:
        step()
    except MlpsError as error:
        return [str(error)]
    except Exception as error:  # noqa: BLE001 - any code of a plugin or of ours; it is reported
        return ["".join(traceback.format_exception(error))]
    return []


def write_files(session: MlpsSession, run: Run, metadata: RunMetadata) -> list[str]:
    """Write the reports and exports of a run, and return what went wrong."""
    problems: list[str] = []
    if len(session.runs) > 1:
        path_of = partial(session.path_for, run)
        problems += problems_of(partial(check_files_of_run, session.settings, path_of))
        if problems:
            return problems
    if session.settings.reports:
        problems += problems_of(lambda: problems.extend(_write_reports(session, run, metadata)))
    for export in session.settings.exports:
        own = replace(export, path=session.path_for(run, export.path))
        problems += _written(session, "export", partial(write_export, own, metadata))
    return problems


def _written(session: MlpsSession, kind: str, write: Callable[[], Path]) -> list[str]:
    """Write a file and name it at the session's end; return what went wrong."""
    return problems_of(lambda: session.remarks.append(f"{kind}: {write()}"))


def _write_reports(session: MlpsSession, run: Run, metadata: RunMetadata) -> list[str]:
    figures = figures_of(run.log.cases, run.benchmark_type)
    page = build_report(metadata, figures, _trends(session, metadata))
    problems = []
    for path in session.settings.reports:
        own = session.path_for(run, path)
        problems += _written(session, "report", partial(write_report, own, page))
    return problems


def _trends(session: MlpsSession, metadata: RunMetadata) -> Sequence[Trend]:
    """Return the run's figures over the comparable runs until it; none without a usable history."""
    try:
        with History(session.settings.results_dir) as history:
            return trends_until(history, metadata)
    except (HistoryError, sqlite3.Error, OSError) as error:
        session.remarks.append(f"earlier runs are not in the report: {error}")
        return ()
