"""The commands `--mlps-history…`: list runs, show one run or a trend, rerun or remove a run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from mlpstorage_bench.commands import removal, run_files
from mlpstorage_bench.commands.run_files import RunFiles
from mlpstorage_bench.errors import InvalidInputError, nearest
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.filters import RunFilter, matches_case, parse_since
from mlpstorage_bench.history.past_run import status_now
from mlpstorage_bench.history.queries import Number
from mlpstorage_bench.history.reading import WHOLE_RUN, read_document, read_metadata, run_of
from mlpstorage_bench.history.rerun import RERUN_OPTION, Rerun, check_owner, rerun_of
from mlpstorage_bench.history.resume import RESUME_OPTION, resume_of
from mlpstorage_bench.launch.command import is_main_program
from mlpstorage_bench.launch.environment import detect_launcher
from mlpstorage_bench.options.names import RESULTS_DIR_VARIABLE, SETTING_VARIABLES
from mlpstorage_bench.options.settings import RESULTS_DIR_OPTION
from mlpstorage_bench.paths import look_up
from mlpstorage_bench.process.stdout import prose_lines, text_width, write_data, write_lines
from mlpstorage_bench.report.history_table import (
    as_csv,
    definition_lines,
    history_csv,
    history_json,
    history_lines,
    legend_lines,
)
from mlpstorage_bench.report.run_page import run_lines
from mlpstorage_bench.report.trend_chart import Point, trend_lines
from mlpstorage_bench.report.trends import points_of
from mlpstorage_bench.results.json_files import json_text
from mlpstorage_bench.units import counted

HISTORY_OPTION = "--mlps-history"
TREND_OPTION = "--mlps-history-trend"
_FILTERS = ("last", "model", "test", "mode", "host", "since", "status", "tag")
PAGE_WIDTH = 120
"""Least width of a run's page, in columns."""


def run(known: argparse.Namespace, results_dir: Path) -> int:
    """Print the requested list, run or trend, rerun or remove runs; return the exit status.

    Raises InvalidInputError for an unknown run or metric.
    """
    removal.refuse_alone(known)
    form = known.mlps_history_format or "table"
    wanted = filter_of(known)
    run_id = run_id_of(known.mlps_history)
    run_files.refuse_without_run(known, run_id)
    rerun = None
    with History(results_dir, rebuild=known.mlps_history_rebuild) as history:
        try:
            if known.mlps_history_rm:
                removal.run(history, known)
            elif known.mlps_history_rerun:
                rerun = _rerun(
                    history,
                    RERUN_OPTION,
                    known.mlps_history_rerun,
                    known.mlps_history_rerun_owner,
                )
                write_lines(_announcement(rerun))
            elif known.mlps_resume:
                rerun = _rerun(history, RESUME_OPTION, known.mlps_resume, None)
                write_lines(_announcement(rerun))
            elif known.mlps_history_trend:
                _show_trend(history, known.mlps_history_trend, wanted, form)
            elif run_id:
                _show_run(history, run_id, form, run_files.files_of(known))
            elif known.mlps_history_rebuild:
                count = counted(len(history.runs()), "run")
                write_lines([f"{count} in the index of {for_terminal(str(history.results_dir))}"])
            else:
                _show_list(history, wanted, form, run_files.files_of(known))
        finally:
            skipped = [f"skipped {problem}" for problem in history.problems]
            for remark in (*history.remarks, *skipped):
                sys.stderr.write(f"mlpstorage: {for_terminal(remark)}\n")
    if rerun is None:
        return pytest.ExitCode.OK
    sys.stdout.flush()
    if is_main_program():
        rerun.start()
    return rerun.run()


def _announcement(rerun: Rerun) -> list[str]:
    return [
        *(f"mlpstorage: {for_terminal(remark)}" for remark in rerun.remarks),
        f"mlpstorage: in {for_terminal(str(rerun.directory))}: {for_terminal(rerun.shell_line())}",
    ]


def filter_of(known: argparse.Namespace) -> RunFilter:
    """Return the filter that the options of the history make."""
    given = {name: getattr(known, f"mlps_history_{name}") for name in _FILTERS}
    if given["since"] is not None:
        given["since"] = parse_since(given["since"], datetime.now().astimezone())
    return RunFilter(**given)


def run_id_of(given: str | None) -> str:
    """Return the ID of the requested run; '' for all runs.

    In `--mlps-history benchmarks/` the path of tests is parsed as the value: an ID contains no
    slash and is not the name of an existing file.
    """
    if given is None or "/" in given or "::" in given:
        return ""
    return "" if look_up(HISTORY_OPTION, Path(given)) is not None else given


def _show_list(history: History, wanted: RunFilter, form: str, files: RunFiles) -> None:
    runs = history.runs(wanted)
    if files.reports:
        for line in files.write_history(history, runs):
            write_lines([for_terminal(line)])
    elif form == "json":
        write_data(history_json(runs, history.listed(), history.problems))
    elif form == "csv":
        write_data(history_csv(runs, history.listed()))
    elif runs:
        color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        is_terminal = sys.stdout.isatty()
        width = text_width() if is_terminal else None
        write_lines(history_lines(runs, history.listed(), color=color, width=width))
        for line in (*legend_lines(runs), *definition_lines(runs)):
            write_lines(prose_lines(line, 2, is_terminal=is_terminal))
    elif wanted == RunFilter() or not history.runs(RunFilter()):
        other = f"{RESULTS_DIR_OPTION} or {RESULTS_DIR_VARIABLE} names another directory"
        write_lines([f"No runs in {for_terminal(str(history.results_dir))}: {other}"])
    else:
        write_lines([f"No matching runs in {for_terminal(str(history.results_dir))}"])


def _show_run(history: History, run_id: str, form: str, files: RunFiles) -> None:
    path = history.find(HISTORY_OPTION, run_id)
    if files:
        for line in files.write(history, read_metadata(path), path):
            write_lines([for_terminal(line)])
        return
    numbers = history.measured_in(path)
    if form == "csv":
        write_data(as_csv(Number._fields, numbers))
    elif form == "json":
        measured = [number._asdict() for number in numbers]
        write_data(json_text({"metadata": read_document(path), "measured": measured}))
    else:
        metadata = read_metadata(path)
        width = max(text_width(), PAGE_WIDTH)
        write_lines(run_lines(run_of(metadata, path).run, metadata, numbers, width))


def _rerun(history: History, option: str, run_id: str, owner: str | None) -> Rerun:
    launcher = detect_launcher(os.environ)
    if launcher is not None:
        raise InvalidInputError(
            option,
            run_id,
            f"no launcher ({launcher.launcher}) around pytest, as the rerun starts its own",
        )
    path = history.find(option, run_id)
    before = look_up(option, path)
    metadata = read_metadata(path)
    past = run_of(metadata, path).run
    run_id = past.run_id
    after = look_up(option, path)
    if before is None or after is None or _identity(after) != _identity(before):
        raise InvalidInputError(option, run_id, "a run whose metadata does not change")
    if option == RESUME_OPTION:
        past = replace(past, status=status_now(past))
        return resume_of(metadata, past, before, os.environ, SETTING_VARIABLES)
    check_owner(run_id, metadata, before, owner)
    return rerun_of(run_id, metadata, os.environ, SETTING_VARIABLES)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """Return what differs after a file was changed or replaced."""
    return (status.st_dev, status.st_ino, status.st_uid, status.st_mode, status.st_ctime_ns)


def _show_trend(history: History, metric: str, wanted: RunFilter, form: str) -> None:
    units = history.metrics()
    if metric not in units:
        raise InvalidInputError(
            TREND_OPTION,
            metric,
            f"a metric of the runs in {history.results_dir}",
            hint=nearest(metric, units) or f"Recorded metrics: {', '.join(units) or 'none'}",
        )
    runs = history.runs(wanted)
    cases = {name: points_of(history, runs, name, metric) for name in history.cases_with(metric)}
    tests = {(run.run_id, case.name): case.test for run in runs for case in run.cases}
    curves = {
        name: [p for p in points if matches_case(name, tests.get((p.run_id, name)), wanted.test)]
        for name, points in cases.items()
    }
    if form != "table":
        _write_trend(curves, metric, units[metric], form)
        return
    width = text_width()
    unit = f", {units[metric]}" if units[metric] else ""
    lines: list[str] = []
    for name, points in curves.items():
        if points:
            case = "" if name == WHOLE_RUN else f"case {name}: "
            lines += ["", *trend_lines(f"{case}{metric}{unit}", points, width)]
    nothing = f"No matching runs in {history.results_dir} have {metric}"
    write_lines(map(for_terminal, lines[1:] or [nothing]))


class TrendRow(NamedTuple):
    """A point of a trend, as CSV and JSON have it."""

    case: str
    run_id: str
    started: str
    """ISO 8601."""
    metric: str
    unit: str
    value: float
    least: float
    greatest: float
    series: int
    """Runs with the same number are comparable."""


def _write_trend(curves: Mapping[str, Sequence[Point]], metric: str, unit: str, form: str) -> None:
    rows = [
        TrendRow(
            case=case,
            run_id=p.run_id,
            started=p.started.isoformat(),
            metric=metric,
            unit=unit,
            value=p.value,
            least=p.low,
            greatest=p.high,
            series=p.series,
        )
        for case, points in curves.items()
        for p in points
    ]
    if form == "csv":
        write_data(as_csv(TrendRow._fields, rows))
    else:
        write_data(json_text([row._asdict() for row in rows]))
