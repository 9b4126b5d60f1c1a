"""Output of a session on the terminal: the plan, the results and the verdicts."""

from __future__ import annotations

import shlex
import shutil

import pytest

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.report.gate_report import GATE_TABLE_WIDTH, gate_lines, gate_table
from mlpstorage_bench.report.results_table import as_lines, legend, results_table
from mlpstorage_bench.report.size_table import SIZE_TABLE_WIDTH, size_lines
from mlpstorage_bench.session import relaunch
from mlpstorage_bench.session.pytest_internals import TerminalReporter, terminal_reporter
from mlpstorage_bench.session.session import MlpsSession
from mlpstorage_bench.session.size_report import size_report


def header(session: MlpsSession) -> list[str]:
    """Return lines for pytest's header; none for one process without options of this plugin."""
    if session.launcher is None and not session.settings.user_set:
        return []
    ranks = session.comm.size
    started = f" started by {session.launcher.launcher}" if session.launcher else ""
    what = f"profile {session.settings.profile}, mode {session.settings.mode}"
    return [f"mlpstorage: {ranks} rank{'s' if ranks > 1 else ''}{started}, {what}"]


def announce_run(config: pytest.Config, session: MlpsSession) -> None:
    """Print the executed command and notes about the run before the first test."""
    reporter = terminal_reporter(config)
    if session.run is None or reporter is None:
        return
    reporter.write_line(f"mlpstorage: command: {session.run.facts.executed_command}")
    for note in session.run.notes:
        reporter.write_line(f"mlpstorage: note: {note}")


def say(config: pytest.Config, line: str) -> None:
    """Print a line with our prefix between tests."""
    write_line(config, f"mlpstorage: {line}")


def write_line(config: pytest.Config, line: str) -> None:
    """Print a line unchanged, at the start of a terminal line."""
    reporter = terminal_reporter(config)
    if reporter is not None:
        reporter.ensure_newline()
        reporter.write_line(line)


def show_plan(config: pytest.Config, session: MlpsSession) -> None:
    """Print the plan, its sizes and its command, in mode whatif."""
    reporter = _reporter(config)
    reporter.section("mlpstorage: what would run")
    settings = session.settings
    for line in session.plan.describe():
        reporter.write_line(line)
    width = max(shutil.get_terminal_size().columns, SIZE_TABLE_WIDTH)
    try:
        report = size_report(settings, session.plan)
    except MlpsError as error:
        raise pytest.UsageError(str(error)) from error
    for line in size_lines(report, width):
        reporter.write_line(line)
    reporter.write_line(f"cache directory: {settings.cache_dir}")
    reporter.write_line(f"results directory: {settings.results_dir}")
    if session.launcher is None and settings.wants_ranks:
        try:
            launch = relaunch.plan_for(config, settings)
        except MlpsError as error:
            raise pytest.UsageError(str(error)) from error
        for note in launch.notes:
            reporter.write_line(f"note: {note}")
        command = launch.shell_line()
    else:
        given = [str(argument) for argument in config.invocation_params.args]
        command = shlex.join(["pytest", *relaunch.without_whatif(given)])
    reporter.write_line(f"command: {command}")


def summarise(reporter: TerminalReporter, session: MlpsSession) -> None:
    """Print the results, the notes and the run's directory."""
    run = session.run
    if run is None and not session.remarks:
        return
    reporter.section("mlpstorage")
    for remark in session.remarks:
        reporter.write_line(remark)
    if run is None:
        return
    cases = [case.to_json() for case in run.cases]
    if cases:
        metrics = run.benchmark_type.metrics
        table = results_table(cases, metrics)
        for line in as_lines(table, shutil.get_terminal_size().columns):
            reporter.write_line(line)
        reporter.write_line(legend(metrics))
    for note in run.notes:
        reporter.write_line(f"note: {note}")
    reporter.write_line(f"run {run.run_id}, {run.status}: {run.directory}")


def show_verdicts(reporter: TerminalReporter, session: MlpsSession) -> None:
    """Print the gate's verdicts."""
    gating = session.session_gate
    if gating is None or not (gating.result or gating.problems):
        return
    reporter.section("mlpstorage gate")
    width = max(shutil.get_terminal_size().columns, GATE_TABLE_WIDTH)
    if gating.result is not None:
        for line in [*as_lines(gate_table(gating.result), width), *gate_lines(gating.result)]:
            reporter.write_line(line)
    for line in gating.annotations:
        reporter.write_line(line)
    for problem in gating.problems:
        reporter.write_line(f"ERROR: {problem}")


def _reporter(config: pytest.Config) -> TerminalReporter:
    reporter = terminal_reporter(config)
    if reporter is None:
        raise pytest.UsageError("--mlps-mode whatif needs pytest's terminal plugin: leave out -p")
    return reporter
