"""pytest's hooks: each a few lines that call the room that knows."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter  # pytest's own name for it came with 8.4

from mlpstorage_bench import registry
from mlpstorage_bench.commands import dispatch
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.launch.environment import detect_launcher
from mlpstorage_bench.mpi.comm import RanksDivergedError
from mlpstorage_bench.mpi.watchdog import limit_process, unlimit_process
from mlpstorage_bench.options.declared import ALIASES_INI, add_options, add_reference_names
from mlpstorage_bench.results.record import KEY as RECORD_KEY
from mlpstorage_bench.session import finish, rank_checks, relaunch, rendezvous, start, terminal
from mlpstorage_bench.session.fixtures import (
    HAS_PASSED,
    MARKERS,
    cluster_info,
    kvcache,
    mlps_run,
    mpi_comm,
)
from mlpstorage_bench.session.outcomes import OthersLeft, agree_on_report
from mlpstorage_bench.session.session import KEY, MlpsSession

__all__ = ["cluster_info", "kvcache", "mlps_run", "mpi_comm"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    add_options(parser)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, object, object]:
    """Answer what needs no session; let rank 0 alone be seen; add the reference's option names."""
    launcher = detect_launcher(os.environ)
    if launcher is not None and launcher.rank > 0:
        rank_checks.silence_output()
    if launcher is not None:
        report = rendezvous.InternalErrorReport(launcher, early_config)
        early_config.pluginmanager.register(report)
    dispatch.run(early_config, parser, args)
    with rendezvous.join_before_conftests(early_config, launcher):
        early_config.add_cleanup(lambda: _report_exit_on_cleanup(early_config))
        result = yield
    if early_config.getini(ALIASES_INI):
        add_reference_names(parser)
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Start the ranks, when they are to be started from here."""
    return relaunch.launch_if_wanted(config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Join the ranks, and check together what the user asked for."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    launcher = detect_launcher(os.environ)
    comm = config.stash[rendezvous.COMM]
    try:
        settings = relaunch.settings_of(config)
    except MlpsError as error:
        rendezvous.agree_on_problem(config, comm, "the options", str(error))
        raise rank_checks.usage_error(str(error), is_root=comm.rank == 0) from error
    rendezvous.agree_on_problem(config, comm, "the options", "")
    config.stash[KEY] = MlpsSession(config, settings, launcher, comm)
    config.stash[KEY].join()


@pytest.hookimpl(tryfirst=True)
def pytest_report_header(config: pytest.Config) -> list[str]:
    """Tell what will run, and where."""
    return terminal.header(config.stash[KEY])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a plan's cases once for each."""
    for argument in registry.case_arguments(metafunc.fixturenames):
        metafunc.parametrize(argument, metafunc.config.stash[KEY].plan.cases)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Keep collection errors, to compare them between ranks."""
    report = yield
    if report.failed:
        text = f"{report.nodeid}: {report.longreprtext}"
        collector.config.stash[KEY].collection_errors.append(text)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Agree with the other ranks on what was collected."""
    own = session.config.stash[KEY]
    if own.launcher is not None:
        unlimit_process()
    with own.time_limit("collection"):
        result = yield
        own.agree_on_collection(session.items)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Open the run that the collected tests call for; in mode whatif, only tell of it."""
    own = session.config.stash[KEY]
    if own.settings.mode == "whatif":
        terminal.show_plan(session.config, own)
        session.items.clear()
    elif not relaunch.runs_no_test(session.config):
        with own.time_limit("the run's opening"):
            start.begin(own, session.items)
        terminal.announce_run(session.config, own)
    try:
        result = yield
        if not relaunch.runs_no_test(session.config):
            own.judge(session.testsfailed, lambda line: terminal.say(session.config, line))
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
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Limit the time that a test takes."""
    with item.config.stash[KEY].guard_test(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Agree with the other ranks on how this phase of the test went."""
    report = yield
    session = item.config.stash[KEY]
    agree_on_report(
        report,
        call.excinfo,
        session.comm,
        session.host,
        session.settings.failure_grace_s,
        session.abort,
    )
    item.stash[HAS_PASSED] = report.when == "call" and report.passed
    if session.run is not None:
        message = "" if call.excinfo is None else call.excinfo.exconly()
        session.run.note_outcome(report.nodeid, report.outcome, report.duration, message)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Make pytest-benchmark's own files complete for --mlps-convert."""
    run = config.stash[KEY].run
    if run is not None:
        timed = [benchmark["fullname"] for benchmark in output_json["benchmarks"]]
        output_json[RECORD_KEY] = run.make_record(timed).model_dump(mode="json")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(
    session: pytest.Session, exitstatus: int
) -> Generator[None, object, object]:
    """Agree on the session's exit status, and write the run's results."""
    own = session.config.stash[KEY]
    own.comm.ignore_interrupts()
    failure, result = None, None
    with own.time_limit(rendezvous.SESSION_END):
        own.exit_status = session.exitstatus = finish.end(own, int(exitstatus))
        try:
            result = yield
        except BaseException as error:  # of a fixture or hook: the others have to know
            if own.comm.size == 1:
                raise
            failure = error
        own.exit_status = session.exitstatus = finish.pass_exit_barrier(
            own, int(session.exitstatus), failure
        )
    if own.launcher is not None and own.settings.timeout_s is not None:
        limit_process(own.settings.timeout_s)
    return result


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Show what was measured, and where it is kept."""
    terminal.summarise(terminalreporter, config.stash[KEY])
    terminal.show_verdicts(terminalreporter, config.stash[KEY])


def _report_exit_on_cleanup(config: pytest.Config) -> None:
    """Let no rank leave without the others, and tell the parent that this one came to its end.

    Whatever hooks do: this is what pytest does last of all.
    """
    session = config.stash.get(KEY, None)
    comm = config.stash[rendezvous.COMM]
    if comm.size == 1:
        return
    comm.ignore_interrupts()
    barriers_passed = 0 if session is None else session.barriers_passed
    status = rendezvous.join_exit_barriers(config, comm, barriers_passed)
    agreed = None if session is None else session.exit_status
    rendezvous.report_exit(comm, status if agreed is None else agreed)
