"""pytest hooks of a session that uses this plugin; registered as soon as its use is known.

Each hook is a few lines, which call the module that does the work.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import pytest

from mlpstorage_bench.errors import MlpsError, SloError
from mlpstorage_bench.launch.environment import LauncherEnvironment
from mlpstorage_bench.mpi.comm import RanksDivergedError, SoloComm
from mlpstorage_bench.mpi.watchdog import limit_process, unlimit_process
from mlpstorage_bench.results.record import KEY as RECORD_KEY
from mlpstorage_bench.results.record import RUNS_KEY
from mlpstorage_bench.session import finish, rank_checks, relaunch, rendezvous, terminal
from mlpstorage_bench.session.activation import opens_no_run
from mlpstorage_bench.session.joining import agree_on_collection, check_types, join
from mlpstorage_bench.session.judging import judge
from mlpstorage_bench.session.outcomes import OthersLeft, agree_on_report
from mlpstorage_bench.session.pytest_internals.benchmark_plugin import (
    number_benchmarks,
    shape_benchmark_table,
    unit_of_benchmarks,
)
from mlpstorage_bench.session.pytest_internals.failures import Exit
from mlpstorage_bench.session.pytest_internals.mpi_plugin import (
    hide_mpi_information,
    let_pytest_mpi_run,
)
from mlpstorage_bench.session.pytest_internals.terminal import (
    TerminalReporter,
    write_without_colors,
)
from mlpstorage_bench.session.run import Run
from mlpstorage_bench.session.session import MlpsSession
from mlpstorage_bench.session.start import begin, fixtures_of, types_of
from mlpstorage_bench.session.stash import COMM, HAS_PASSED, SESSION
from mlpstorage_bench.session.user_errors import hide_own_frames, show_reason_first


def open_session(config: pytest.Config, launcher: LauncherEnvironment | None) -> MlpsSession:
    """Open the session with the joined ranks; an error is a usage error on all of them."""
    comm = config.stash.setdefault(COMM, SoloComm())
    try:
        settings = relaunch.settings_of(config)
    except MlpsError as error:
        rendezvous.agree_on_problem(config, comm, "the options", str(error))
        raise rank_checks.usage_error(str(error), is_root=comm.rank == 0) from error
    rendezvous.agree_on_problem(config, comm, "the options", "")
    session = config.stash[SESSION] = MlpsSession(config, settings, launcher, comm)
    if session.is_under_users_launcher:
        # Open MPI gives ranks a pseudo-terminal also where its output goes to a file
        write_without_colors(config)
    config.pluginmanager.register(SessionHooks(session), "mlpstorage-session")
    join(session)
    return session


def open_session_after_collection(
    config: pytest.Config, launcher: LauncherEnvironment | None, items: list[pytest.Item]
) -> None:
    """Open a session whose collected tests are the first sign that it uses this plugin."""
    if launcher is None:
        open_session(config, None)
        return
    rendezvous.join_late(config, launcher)
    session = open_session(config, launcher)
    unlimit_process()
    agree_on_collection(session, items)
    session.on_all_ranks(lambda: check_types(session, types_of(items)))
    let_pytest_mpi_run(config, items)
    for line in terminal.header(session):
        terminal.write_line(config, line)


_ATTEMPTS = pytest.StashKey[int]()
"""Key, in a test, of how often it was set up."""


def _attempts(item: pytest.Item) -> int:
    """Count one more attempt of a test, and return the number: plugins repeat failed tests."""
    count = item.stash[_ATTEMPTS] = item.stash.get(_ATTEMPTS, 0) + 1
    return count


def _is_superseded(runs: Sequence[Run], benchmark: dict[str, Any]) -> bool:
    """Whether a benchmark in pytest-benchmark's JSON is an earlier attempt of a repeated test."""
    case = benchmark["extra_info"].get(RECORD_KEY)
    return case is not None and not any(
        run.benchmark_type.name == case["benchmark_type"]
        and run.log.has_case(case["test"], case["order"])
        for run in runs
    )


class SessionHooks:
    """pytest's hooks for one session."""

    def __init__(self, session: MlpsSession) -> None:
        self._session = session

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_header(self) -> list[str]:
        """Show the ranks, profile and mode of the session."""
        return terminal.header(self._session)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """Check that all ranks have collected the same tests."""
        own = self._session
        if own.launcher is not None:
            unlimit_process()
        with own.time_limit("collection"):
            result = yield
            agree_on_collection(own, session.items)
            own.on_all_ranks(lambda: check_types(own, types_of(session.items)))
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Open the run that the collected tests need; in mode whatif, only describe it."""
        own = self._session
        if own.settings.mode == "whatif":
            terminal.show_plan(session.config, own, types_of(session.items))
            session.items.clear()
        elif not opens_no_run(session.config):
            with own.time_limit("the run's opening"):
                begin(own, session.items)
            terminal.announce_run(session.config, own)
        try:
            result = yield
            if not opens_no_run(session.config):
                judge(own, session.testsfailed, lambda line: terminal.say(session.config, line))
        except RanksDivergedError as diverged:
            own.left = OthersLeft.after(diverged)
            raise own.left from diverged
        except BaseException as error:
            own.left = error
            raise
        finally:
            own.comm.ignore_interrupts()
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Apply the time limit to a test."""
        with self._session.guard_test(item):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Agree with the other ranks on the outcome of this phase of the test."""
        hide_own_frames(item.config, call)
        report = yield
        show_reason_first(item, call, report)
        session = self._session
        is_repeated = call.when == "setup" and _attempts(item) > 1
        runs = [part.run for part in session.parts_of_test(fixtures_of(item))]
        for run in runs if is_repeated else ():
            run.add_notes([run.log.begin_attempt(item.nodeid)])
        agree_on_report(
            report,
            call.excinfo,
            session.comm,
            session.host,
            session.settings.failure_grace_s,
            session.abort,
        )
        missed = call.excinfo is not None and call.excinfo.errisinstance(SloError)
        session.objectives_missed += missed and report.failed
        item.stash[HAS_PASSED] = report.when == "call" and report.passed
        message = "" if call.excinfo is None else call.excinfo.exconly()
        for run in runs:
            if report.when == "call":
                figures = dict(run.figures_of(item.nodeid))
                others = [one for one in item.user_properties if one[0] not in figures]
                item.user_properties[:] = [*others, *figures.items()]  # of the last attempt
            run.log.note_outcome(report.nodeid, report.outcome, report.duration, message)
        return report

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_json(self, output_json: dict[str, Any]) -> None:
        """Add our record to pytest-benchmark's own files, for --mlps-convert."""
        runs = self._session.runs
        if runs:
            output_json["benchmarks"][:] = [
                benchmark
                for benchmark in output_json["benchmarks"]
                if not _is_superseded(runs, benchmark)
            ]
            timed = [benchmark["fullname"] for benchmark in output_json["benchmarks"]]
            own = {run.run_id: [test for test in timed if run.log.has_timed(test)] for run in runs}
            records = [
                {
                    "record": run.make_record(own[run.run_id]).model_dump(mode="json"),
                    "tests": own[run.run_id],
                }
                for run in runs
            ]
            is_one = len(records) == 1
            output_json[RECORD_KEY] = records[0]["record"] if is_one else {RUNS_KEY: records}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int
    ) -> Generator[None, object, object]:
        """Agree on the session's exit status, and write the run's results."""
        own = self._session
        own.comm.ignore_interrupts()
        failure: BaseException | None = None
        result: object = None
        with own.time_limit(rendezvous.SESSION_END):
            try:
                own.exit_status = session.exitstatus = finish.end(own, int(exitstatus))
            except KeyboardInterrupt as interrupt:  # in a session of one process: ranks ignore it
                failure = interrupt
            else:
                try:
                    result = yield
                except BaseException as error:  # noqa: BLE001 - of a hook; the other ranks learn of it
                    failure = error
            own.exit_status = session.exitstatus = finish.pass_exit_barrier(
                own, int(session.exitstatus), failure
            )
        terminal.show_last_line(session.config, own)
        terminal.show_verification(session.config, own)
        if not session.testscollected:
            terminal.show_where_tests_are(session.config, own)
        if failure is not None and own.comm.size == 1:
            if isinstance(failure, KeyboardInterrupt):  # pytest shows an Exit as one line
                raise Exit("interrupted at the session's end", own.exit_status) from failure
            raise failure
        if own.launcher is not None and own.settings.timeout_s is not None:
            limit_process(own.settings.timeout_s)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_unconfigure(self) -> Generator[None, object, object]:
        """Record a failure of what pytest does last."""
        try:
            return (yield)
        except BaseException as error:
            finish.record_late_failure(self._session, error)
            raise

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_benchmark_group_stats(self, benchmarks: list[dict[str, Any]]) -> None:
        """Number the rows of pytest-benchmark's table in the order of the run."""
        number_benchmarks(benchmarks)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_benchmark_scale_unit(
        self, config: pytest.Config, unit: str, benchmarks: Any, best: Any, worst: Any, sort: str
    ) -> object:
        """Return the unit of pytest-benchmark's table, which knows no order of the run."""
        return unit_of_benchmarks(
            config, sort, unit=unit, benchmarks=benchmarks, best=best, worst=worst
        )

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(
        self, terminalreporter: TerminalReporter
    ) -> Generator[None, object, object]:
        """Shape the sections of other plugins, and show our own after them."""
        if any(run.log.cases for run in self._session.runs):
            measures = not self._session.settings.makes_data
            shape_benchmark_table(terminalreporter.config, has_times=measures)
        hide_mpi_information(terminalreporter.config)
        result = yield
        self._summarise(terminalreporter)
        return result

    def _summarise(self, terminalreporter: TerminalReporter) -> None:
        """Show the results, the verdicts and the run's directory."""
        terminal.summarise(terminalreporter, self._session)
        terminal.show_verdicts(terminalreporter, self._session)
