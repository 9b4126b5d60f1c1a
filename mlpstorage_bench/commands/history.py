"""The commands `--mlps-history…`: list runs, show one run or a trend, rerun a run."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from mlpstorage_bench.errors import InvalidInputError, nearest
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.filters import RunFilter, matches_case, parse_since
from mlpstorage_bench.history.past_run import PastRun
from mlpstorage_bench.history.reading import WHOLE_RUN, read_metadata, read_run
from mlpstorage_bench.history.rerun import RERUN_OPTION, Rerun, rerun_of
from mlpstorage_bench.launch.command import is_main_program
from mlpstorage_bench.launch.environment import detect_launcher
from mlpstorage_bench.paths import look_up
from mlpstorage_bench.report.history_table import (
    as_csv,
    history_csv,
    history_json,
    history_lines,
)
from mlpstorage_bench.report.run_page import run_lines
from mlpstorage_bench.report.trend_chart import Point, trend_lines

HISTORY_OPTION = "--mlps-history"
TREND_OPTION = "--mlps-history-trend"
_FILTERS = ("last", "model", "test", "mode", "host", "since", "status", "tag")
PAGE_WIDTH = 120
"""Least width of a run's page, in columns."""


def run(known: argparse.Namespace, results_dir: Path) -> int:
    """Print the requested list, run or trend, or rerun a run; return the exit status.

    Raises InvalidInputError for an unknown run or metric.
    """
    form = known.mlps_history_format or "table"
    wanted = _filter(known)
    run_id = _run_id(known.mlps_history)
    rerun, text = None, ""
    with History(results_dir, rebuild=known.mlps_history_rebuild) as history:
        try:
            if known.mlps_history_rerun:
                rerun = _rerun(history, known.mlps_history_rerun)
                text = f"mlpstorage: in {rerun.directory}: {rerun.shell_line()}\n"
            elif known.mlps_history_trend:
                text = _trend(history, known.mlps_history_trend, wanted, form)
            elif run_id:
                text = _one_run(history, run_id, form)
            elif known.mlps_history_rebuild:
                text = f"{len(history.runs())} runs in the index of {history.results_dir}\n"
            else:
                text = _list(history, wanted, form)
        finally:
            for remark in history.remarks:
                sys.stderr.write(f"mlpstorage: {remark}\n")
        sys.stdout.write(text)
        for problem in history.problems:
            sys.stderr.write(f"mlpstorage: skipped {problem}\n")
    if rerun is None:
        return pytest.ExitCode.OK
    sys.stdout.flush()
    if is_main_program():
        rerun.start()
    return rerun.run()


def _filter(known: argparse.Namespace) -> RunFilter:
    given = {name: getattr(known, f"mlps_history_{name}") for name in _FILTERS}
    if given["since"] is not None:
        given["since"] = parse_since(given["since"], datetime.now().astimezone())
    return RunFilter(**given)


def _run_id(given: str | None) -> str:
    """Return the ID of the requested run; '' for all runs.

    In `--mlps-history benchmarks/` the path of tests is parsed as the value: an ID contains no
    slash and is not the name of an existing file.
    """
    if given is None or "/" in given or "::" in given:
        return ""
    return "" if look_up(HISTORY_OPTION, Path(given)) is not None else given


def _list(history: History, wanted: RunFilter, form: str) -> str:
    runs = history.runs(wanted)
    if form == "json":
        return history_json(runs, history.listed(), history.problems)
    if form == "csv":
        return history_csv(runs, history.listed())
    if not runs:
        matching = "" if wanted == RunFilter() else "matching "
        return f"No {matching}runs in {history.results_dir}\n"
    color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return "\n".join(history_lines(runs, history.listed(), color=color)) + "\n"


_NUMBER_COLUMNS = ("case", "test", "trial", "metric", "unit", "value")


def _one_run(history: History, run_id: str, form: str) -> str:
    path = history.find(HISTORY_OPTION, run_id)
    numbers = history.measured_in(path)
    if form == "csv":
        return as_csv(_NUMBER_COLUMNS, numbers)
    metadata = read_metadata(path)
    if form == "json":
        measured = [dict(zip(_NUMBER_COLUMNS, number, strict=True)) for number in numbers]
        return json.dumps({"metadata": metadata, "measured": measured}, indent=2) + "\n"
    width = max(shutil.get_terminal_size().columns, PAGE_WIDTH)
    return "\n".join(run_lines(read_run(path).run, metadata, numbers, width)) + "\n"


def _rerun(history: History, run_id: str) -> Rerun:
    launcher = detect_launcher(os.environ)
    if launcher is not None:
        raise InvalidInputError(
            RERUN_OPTION,
            run_id,
            f"no launcher ({launcher.launcher}) around pytest, as the rerun starts its own",
        )
    path = history.find(RERUN_OPTION, run_id)
    return rerun_of(read_run(path).run.run_id, read_metadata(path), os.environ)


_TREND_COLUMNS = ("case", "run_id", "started", "metric", "unit", "value", "least", "greatest")


def _trend(history: History, metric: str, wanted: RunFilter, form: str) -> str:
    units = history.metrics()
    if metric not in units:
        raise InvalidInputError(
            TREND_OPTION,
            metric,
            f"a metric of the runs in {history.results_dir}",
            hint=nearest(metric, units) or f"Recorded metrics: {', '.join(units) or 'none'}",
        )
    runs = history.runs(wanted)
    cases = {name: _points(history, runs, name, metric) for name in history.cases_with(metric)}
    tests = {(run.run_id, case.name): case.test for run in runs for case in run.cases}
    curves = {
        name: [p for p in points if matches_case(name, tests.get((p.run_id, name)), wanted.test)]
        for name, points in cases.items()
    }
    if form != "table":
        return _trend_data(curves, metric, units[metric], form)
    width = shutil.get_terminal_size().columns
    unit = f", {units[metric]}" if units[metric] else ""
    lines: list[str] = []
    for name, points in curves.items():
        if points:
            case = "" if name == WHOLE_RUN else f"case {name}: "
            lines += ["", *trend_lines(f"{case}{metric}{unit}", points, width)]
    nothing = f"No matching runs in {history.results_dir} have {metric}"
    return "\n".join(lines[1:] or [nothing]) + "\n"


def _points(history: History, runs: Sequence[PastRun], case: str, metric: str) -> list[Point]:
    ids = [run.run_id for run in runs]
    values, trials = history.pooled(ids, case, metric), history.values(ids, case, metric)
    return [
        Point(
            run.started,
            run.run_id,
            value := values[run.run_id],
            min([value, *trials.get(run.run_id, {}).values()]),
            max([value, *trials.get(run.run_id, {}).values()]),
        )
        for run in runs
        if run.run_id in values
    ]


def _trend_data(curves: Mapping[str, Sequence[Point]], metric: str, unit: str, form: str) -> str:
    rows = [
        (case, p.run_id, p.started.isoformat(), metric, unit, p.value, p.low, p.high)
        for case, points in curves.items()
        for p in points
    ]
    if form == "csv":
        return as_csv(_TREND_COLUMNS, rows)
    return json.dumps([dict(zip(_TREND_COLUMNS, r, strict=True)) for r in rows], indent=2) + "\n"
