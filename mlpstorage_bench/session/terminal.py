"""Output of a session on the terminal: the plan, the results and the verdicts."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.escaping import for_terminal, for_terminal_lines
from mlpstorage_bench.gate.result import outcome_line
from mlpstorage_bench.history.cache_directories import of_hosts
from mlpstorage_bench.options.settings import DEFAULT_RESULTS_DIR
from mlpstorage_bench.process.stdout import prose_lines, text_width, writable
from mlpstorage_bench.redaction.commands import redact_command
from mlpstorage_bench.report.gate_report import GATE_TABLE_WIDTH, gate_lines, gate_table
from mlpstorage_bench.report.integrity_table import because, checks_table, headline
from mlpstorage_bench.report.note_lines import grouped
from mlpstorage_bench.report.results_table import (
    as_lines,
    legend,
    objective_lines,
    results_lines,
)
from mlpstorage_bench.report.size_table import SIZE_TABLE_WIDTH, size_lines
from mlpstorage_bench.results.verification import CLOSED_MODE
from mlpstorage_bench.session import relaunch
from mlpstorage_bench.session.gate import SessionGate
from mlpstorage_bench.session.judging import NOTHING_TO_JUDGE
from mlpstorage_bench.session.measured_storage import headline as storage_headline
from mlpstorage_bench.session.outcome_lines import RunOutcome, outcome_lines
from mlpstorage_bench.session.pytest_internals.terminal import (
    TerminalReporter,
    encoding_of,
    terminal_reporter,
)
from mlpstorage_bench.session.run import Run
from mlpstorage_bench.session.session import MlpsSession
from mlpstorage_bench.session.size_report import size_report
from mlpstorage_bench.session.type_requests import profile_note
from mlpstorage_bench.session.type_run import TypeRun

_CHECKS_WIDTH = 100
"""Least width of the table of checks: its states are sentences."""


def header(session: MlpsSession) -> list[str]:
    """Return lines for pytest's header; none for one process without options of this plugin."""
    if session.launcher is None and not session.settings.user_set:
        return []
    is_planned = session.settings.mode == "whatif" and session.launcher is None
    ranks = session.settings.layout().total if is_planned else session.comm.size
    started = f" started by {session.launcher.launcher}" if session.launcher else ""
    what = f"profile {session.settings.profile}, mode {session.settings.mode}"
    lines = [f"mlpstorage: {ranks} rank{'s' if ranks > 1 else ''}{started}, {what}"]
    option = _option_taken_for_rootdir(session)
    if option:
        lines.append(
            f"mlpstorage: pytest took the directory of {option} for one of tests, and its rootdir "
            f"from there: write {option}=DIR, with an equals sign"
        )
    return lines


def _option_taken_for_rootdir(session: MlpsSession) -> str:
    """Return the option whose directory has moved pytest's rootdir; '' if there is none.

    pytest looks for its rootdir before it knows the options of plugins: an existing directory that
    stands as an argument of its own is a place of tests for it, unless it has found settings.
    """
    config, settings = session.config, session.settings
    given = {"--mlps-cache-dir": settings.cache_dir, "--mlps-results-dir": settings.results_dir}
    arguments, here = set(config.invocation_params.args), config.invocation_params.dir
    if config.inipath is not None or config.rootpath == here:
        return ""
    return next(
        (
            name
            for name, path in given.items()
            if name in arguments and path.is_relative_to(config.rootpath)
        ),
        "",
    )


def announce_run(config: pytest.Config, session: MlpsSession) -> None:
    """Print the executed command and notes about the run before the first test."""
    reporter = terminal_reporter(config)
    if not session.parts or reporter is None:
        return
    _show(reporter, f"mlpstorage: command: {session.runs[0].facts.executed_command}")
    for line in () if session.continued is None else session.continued.lines():
        _show(reporter, f"mlpstorage: {line}")
    for part in session.parts:
        of_type = f"{part.name}: " if len(session.parts) > 1 else ""
        for line in because(part.run.verification):
            _show(reporter, f"mlpstorage: {of_type}{line}")
        if part.schedule:
            _show(reporter, f"mlpstorage: {of_type}{part.schedule}")
    for note, names in _notes_before(session.parts).items():
        of_types = f"{', '.join(names)}: " if len(names) < len(session.parts) else ""
        _show_prose(reporter, f"mlpstorage: note: {of_types}{note}")


def _notes_before(parts: Sequence[TypeRun]) -> dict[str, list[str]]:
    """Return the notes on all runs, each once, with the benchmark types that have it."""
    found: dict[str, list[str]] = {}
    for part in parts:
        for note in part.run.notes:
            found.setdefault(note, []).append(part.name)
    return found


def say(config: pytest.Config, line: str) -> None:
    """Print a line with our prefix between tests."""
    write_line(config, f"mlpstorage: {line}")


def write_line(config: pytest.Config, line: str) -> None:
    """Print a line unchanged, at the start of a terminal line."""
    reporter = terminal_reporter(config)
    if reporter is not None:
        reporter.ensure_newline()
        _show(reporter, line)


def _show(reporter: TerminalReporter, text: str) -> None:
    """Print lines; names and messages of files and other programs do nothing in the terminal."""
    reporter.write_line(writable(for_terminal_lines(text), encoding_of(reporter)))


def _show_prose(reporter: TerminalReporter, text: str) -> None:
    """Print a sentence, wrapped between words where the output is a terminal."""
    for line in prose_lines(for_terminal(text), 2, is_terminal=bool(reporter.isatty)):
        _show(reporter, line)


def show_plan(config: pytest.Config, session: MlpsSession, names: Sequence[str]) -> None:
    """Print the plans of benchmark types, their sizes and the command, in mode whatif."""
    reporter = _reporter(config)
    reporter.section("mlpstorage: what would run")
    settings = session.settings
    width = max(text_width(), SIZE_TABLE_WIDTH)
    for name in names or [registry.DEFAULT]:
        plan = session.plan(name)
        note = profile_note(settings, name)
        if note:
            _show_prose(reporter, f"note: {note}")
        for line in plan.describe():
            _show(reporter, line)
        try:
            report = size_report(settings, plan)
        except MlpsError as error:
            raise pytest.UsageError(str(error)) from error
        for line in size_lines(report, width):
            _show(reporter, line)
    _show(reporter, f"cache directory: {settings.cache_dir}")
    _show(reporter, f"results directory: {settings.results_dir}")
    if session.launcher is None and settings.wants_ranks:
        try:
            launch = relaunch.plan_for(config, settings)
        except MlpsError as error:
            raise pytest.UsageError(str(error)) from error
        for note in launch.notes:
            _show(reporter, f"note: {note}")
        command = launch.shell_line()
    else:
        given = [str(argument) for argument in config.invocation_params.args]
        command = shlex.join(redact_command(["pytest", *relaunch.without_whatif(given)]))
    _show(reporter, f"command: {command}")


def summarise(reporter: TerminalReporter, session: MlpsSession) -> None:
    """Print the results, the notes and the run's directory."""
    if not session.runs and not session.remarks:
        return
    reporter.section("mlpstorage")
    for remark in session.remarks:
        _show(reporter, remark)
    for run in session.runs:
        if run is not session.runs[0]:
            _show(reporter, "")
        _summarise_run(reporter, session, run)


def _summarise_run(reporter: TerminalReporter, session: MlpsSession, run: Run) -> None:
    if len(session.runs) > 1:
        _show(reporter, session.title_of(run))
    _show_integrity(reporter, run)
    if any(case.planned_trials for case in run.log.cases):
        _show_results(reporter, session, run)
    for note in grouped(run.notes):
        _show_prose(reporter, f"note: {note}")
    _show(reporter, f"run {run.run_id}, {run.status}: {run.directory}")
    for line in _next_commands(session, run):
        _show(reporter, line)


def _show_results(reporter: TerminalReporter, session: MlpsSession, run: Run) -> None:
    """Print the table of cases, their objectives, and what follows."""
    directories = of_hosts(session.cluster.hosts)
    for line in [storage_headline(directories, run.log.cases), *session.storage_changes]:
        _show(reporter, line)
    metrics = run.benchmark_type.metrics
    for line in results_lines(run.log.cases, metrics, text_width(), run.interrupted_cases):
        _show(reporter, line)
    _show_prose(reporter, legend(metrics))
    for line in objective_lines(run.log.cases):
        _show(reporter, line)
    for sentence in run.benchmark_type.conclusions(run.log.cases):
        _show_prose(reporter, f"→ {sentence}")


def _next_commands(session: MlpsSession, run: Run) -> list[str]:
    """Return the commands that show the run again, that continue it, and that run it again."""
    results_dir = session.settings.results_dir
    is_default = results_dir == Path.cwd() / DEFAULT_RESULTS_DIR
    of_results = "" if is_default else f" --mlps-results-dir={shlex.quote(str(results_dir))}"
    resume = f"resume: pytest{of_results} --mlps-resume={run.run_id}"
    return [
        f"report: pytest{of_results} --mlps-history={run.run_id} --mlps-report=report.html",
        *([resume] if run.can_resume else []),
        f"again:  pytest{of_results} --mlps-history-rerun={run.run_id}",
    ]


def _show_integrity(reporter: TerminalReporter, run: Run) -> None:
    """Print the verdict on a closed run, and the checks of its hosts; elsewhere, if one failed."""
    is_closed = run.facts.mode == CLOSED_MODE
    for line in headline(run.verification, run.unproven) if is_closed else []:
        _show(reporter, line)
    if is_closed or any(check.verdict == "finding" for check in run.checks):
        table = checks_table(run.checks)
        for line in as_lines(table, max(text_width(), _CHECKS_WIDTH)):
            _show(reporter, line)


def show_verdicts(reporter: TerminalReporter, session: MlpsSession) -> None:
    """Print the gate's verdicts on each run."""
    gates = [(part, part.gate) for part in session.parts if part.gate is not None]
    shown = [(part, gate) for part, gate in gates if gate.result or gate.outcome.problems]
    for part, gate in shown:
        of_type = f" of {session.title_of(part.run)}" if len(session.parts) > 1 else ""
        reporter.section(f"mlpstorage gate{of_type}")
        _show_gate(reporter, gate)


def _show_gate(reporter: TerminalReporter, gate: SessionGate) -> None:
    width = max(text_width(), GATE_TABLE_WIDTH)
    if gate.result is not None:
        for line in as_lines(gate_table(gate.result), width) if gate.result.verdicts else ():
            _show(reporter, line)
        for line in gate_lines(gate.result):
            _show_prose(reporter, line)
    for line in [*gate.annotations, *(f"note: {remark}" for remark in gate.remarks)]:
        _show(reporter, line)
    for path in gate.written:
        _show(reporter, f"gate report: {path}")
    for problem in gate.outcome.problems:
        _show(reporter, f"ERROR: {problem}")


def show_last_line(config: pytest.Config, session: MlpsSession) -> None:
    """Print the gate's outcome below pytest's own last line, which counts tests alone."""
    reporter = terminal_reporter(config)
    if reporter is None:
        return
    outcomes = [
        RunOutcome(
            session.title_of(part.run),
            gate.reason,
            is_failure=gate.outcome.status != pytest.ExitCode.OK,
            has_warning=gate.result is not None and gate.result.has_warning,
        )
        for part in session.parts
        if (gate := part.gate) is not None and gate.reason
    ]
    lines = outcome_lines(outcomes)
    if session.has_nothing_to_judge:
        lines = [(outcome_line(NOTHING_TO_JUDGE, is_failure=True), True)]
    for line, is_failure in lines:
        reporter.write_line(for_terminal(line), bold=True, red=is_failure, green=not is_failure)


def show_verification(config: pytest.Config, session: MlpsSession) -> None:
    """Print that a closed run is INVALID below pytest's own last line, which counts tests alone."""
    reporter = terminal_reporter(config)
    for run in session.runs:
        if reporter is not None and run.verification.word == "INVALID":
            line = f"closed mode: INVALID, see {run.directory}"
            reporter.write_line(for_terminal(line), bold=True, red=True)


def show_where_tests_are(config: pytest.Config, session: MlpsSession) -> None:
    """Print how the benchmarks of this package are named, if a command of ours named no tests.

    Where tests were found and `-k` or `-m` left out all of them, pytest's last line says so.
    """
    reporter = terminal_reporter(config)
    is_ours = session.settings.user_set and not config.option.file_or_dir
    if reporter is None or not is_ours or reporter.stats.get("deselected"):
        return
    reporter.write_line(
        "mlpstorage: no tests ran, and the command names none: add --pyargs "
        "mlpstorage_bench.benchmarks for the benchmarks of this package"
    )


def _reporter(config: pytest.Config) -> TerminalReporter:
    reporter = terminal_reporter(config)
    if reporter is None:
        raise pytest.UsageError("--mlps-mode whatif needs pytest's terminal plugin: leave out -p")
    return reporter
