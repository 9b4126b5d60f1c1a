"""Start-up: connect all ranks, and stop them together if one fails before the session exists.

An import that fails in one host's conftest must not leave all others waiting in MPI.
"""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import pytest

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.launch.environment import LauncherEnvironment
from mlpstorage_bench.launch.status_channel import StatusChannel
from mlpstorage_bench.mpi import hydra_guard
from mlpstorage_bench.mpi.comm import Comm, RanksDivergedError, SessionPhase
from mlpstorage_bench.mpi.ranks import Notice
from mlpstorage_bench.mpi.watchdog import limit_process
from mlpstorage_bench.options.settings import grace_before_options, startup_limit_s
from mlpstorage_bench.process.first_of_user import is_first_of_user
from mlpstorage_bench.process.stderr import ABORT_STATUS, descriptor, say
from mlpstorage_bench.session import rank_output
from mlpstorage_bench.session.pytest_internals.command_line import known_options
from mlpstorage_bench.session.rank_checks import usage_error
from mlpstorage_bench.session.stash import COMM, SESSION

if TYPE_CHECKING:
    from mlpstorage_bench.cluster.host import HostRecord

HAD_INTERNAL_ERROR = pytest.StashKey[bool]()
SESSION_END, RUN_END, EXIT_BARRIER = "the session's end", "the run's end", "the exit barrier"
"""Labels of the final barriers, in this order; ranks that end early pass them too."""

_LATER_S = 5.0
"""Margin over the start-up limit: a rank that hangs reports its stacks before others give up."""


@dataclass(frozen=True)
class RankEnd:
    """The end of one rank's session, exchanged between ranks at a final barrier."""

    host: str
    status: int = int(pytest.ExitCode.OK)
    problem: str = ""
    """Message about the failure; empty without one."""
    follows: bool = False
    """Whether the rank ends because another rank has ended: then its own status is ignored."""
    by_gate: bool = False
    """Whether only the gate has caused the status."""
    host_at_end: HostRecord | None = None
    """The rank's host with its counters at the end; None on ranks that do not describe one."""
    had_internal_error: bool = False
    """Whether pytest or a hook failed on the rank, outside of tests."""


class InternalErrorReport:
    """Plugin object that prints a rank's internal error, and records that there was one."""

    def __init__(self, launcher: LauncherEnvironment, config: pytest.Config) -> None:
        self._launcher = launcher
        self._config = config

    def pytest_internalerror(
        self, excrepr: object, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> None:
        """Name the rank and its host; pytest itself shows rank 0's traceback."""
        self._config.stash[HAD_INTERNAL_ERROR] = True
        place = f"rank {self._launcher.rank} on {socket.gethostname()}"
        text = f"\n{excrepr}" if self._launcher.rank > 0 else ""
        say(f"INTERNALERROR on {place}: {excinfo.exconly()}{text}")


@contextmanager
def join_before_conftests(config: pytest.Config, launcher: LauncherEnvironment) -> Iterator[None]:
    """Join the ranks; if the body fails on one of them, end the session on all.

    From here on, only rank 0 writes to standard output.
    """
    if launcher.rank > 0:
        rank_output.silence_output()
    comm = _join(config, launcher)
    try:
        yield
    except BaseException as error:
        cause = error.__cause__ or error
        text = "".join(traceback.format_exception(cause)).rstrip()
        problem = f"the conftest files could not be loaded: {error}\n\n{text}"
        agree_on_problem(config, comm, "the conftest files", problem)
        raise
    limit_process(startup_limit_s(config) + _LATER_S)
    agree_on_problem(config, comm, "the conftest files", "")


def join_late(config: pytest.Config, launcher: LauncherEnvironment) -> Comm:
    """Join the ranks of a session whose use of this plugin is known only after collection."""
    rank_output.refuse_workers(config)
    if launcher.rank > 0:
        rank_output.silence_output_after_collection(config)
    return _join(config, launcher)


def _join(config: pytest.Config, launcher: LauncherEnvironment) -> Comm:
    config.pluginmanager.register(InternalErrorReport(launcher, config))
    comm = config.stash[COMM] = _connect(config, launcher)
    config.add_cleanup(lambda: _exit_with_others(config, comm))
    return comm


def _exit_with_others(config: pytest.Config, comm: Comm) -> None:
    """Wait for all ranks before this one exits, and report its normal exit to the parent.

    pytest calls this on its unconfiguration, also after errors in hooks.
    """
    session = config.stash.get(SESSION, None)
    if comm.size == 1:
        return
    comm.ignore_interrupts()
    barriers_passed = 0 if session is None else session.barriers_passed
    status = join_exit_barriers(config, comm, barriers_passed)
    agreed = None if session is None else session.exit_status
    report_exit(comm, status if agreed is None else agreed)


def _connect(config: pytest.Config, launcher: LauncherEnvironment) -> Comm:
    """Initialise MPI and return the communicator of all ranks.

    The start-up limit applies from here to collection, to this rank and to its wait for others.
    """
    from mlpstorage_bench.mpi.connection import connect  # noqa: PLC0415 - imports NumPy: ranks only

    parent = StatusChannel.of_this_process()
    if parent is not None:
        parent.register(launcher.rank)
    try:
        limit_process(startup_limit_s(config))
        grace_before_options(config, known_options(config))  # refused before others have to wait
        comm = connect(launcher)
    except MlpsError as error:
        _report_refusal(launcher, str(error))
        raise usage_error("", is_root=False) from error
    if parent is not None and comm.rank == 0:
        parent.send("joined")
    if parent is None and launcher.launcher == "hydra":
        here = f"rank {comm.rank} on {socket.gethostname()}"
        line = f"mlpstorage: {here} died before the session's end. All ranks are aborted."
        hydra_guard.start(line, ABORT_STATUS, os.environ, descriptor())
    return comm


def _report_refusal(launcher: LauncherEnvironment, problem: str) -> None:
    """Print the reason why this rank cannot join; only the first such rank of each host prints.

    Ranks that MPI does not connect cannot choose one rank to print. Rank 0 may have no problem, or
    the launcher may end it as soon as another rank has ended.
    """
    if is_first_of_user(f"mlpstorage-refusal-{os.getppid()}"):
        say(f"ERROR: rank {launcher.rank} on {socket.gethostname()}: {problem}\n")
    status = int(pytest.ExitCode.USAGE_ERROR)
    parent = StatusChannel.of_this_process()
    if parent is not None:
        headline, _, _ = problem.partition(": ")
        parent.send("aborting", f"{status} {headline}")
    _report_exit(launcher.rank, status)


def agree_on_problem(config: pytest.Config, comm: Comm, label: str, problem: str) -> None:
    """Raise a usage error on every rank if any has a problem; rank 0's caller raises its own."""
    if comm.size == 1:
        return
    own = (socket.gethostname(), problem)
    grace_s = grace_before_options(config, known_options(config)) if problem else None
    if problem:
        comm.announce(Notice.FAILED)
    try:
        problems = comm.agree(label, own, phase=SessionPhase.REPORT, grace_s=grace_s)
    except TimeoutError:
        _abort(comm, problem, grace_s)
    except RanksDivergedError as diverged:
        text = f"A rank ended its session before all ranks had started: {diverged}"
        here = [
            point.rank for point in diverged.sync_points if point.phase is not SessionPhase.FINISH
        ]
        if 0 not in here and comm.rank == here[0]:
            say(f"ERROR: {text}")
        raise usage_error(text, is_root=comm.rank == 0) from diverged
    ranks_by_text: dict[str, list[str]] = {}
    for rank, (host, text) in enumerate(problems):
        if text:
            ranks_by_text.setdefault(text, []).append(f"rank {rank} on {host}")
    if not ranks_by_text:
        return
    report_exit(comm)
    shown_by_pytest = problem if comm.rank == 0 else ""
    lines = [
        f"{', '.join(places)} failed at {label}, as shown below"
        if text == shown_by_pytest
        else f"{', '.join(places)}: {text}"
        for text, places in ranks_by_text.items()
    ]
    if not shown_by_pytest:
        raise usage_error("\n".join(lines), is_root=comm.rank == 0)
    say("ERROR: " + "\n".join(lines))


def report_exit(comm: Comm, status: int | None = None) -> None:
    """Report to the parent that this rank ends normally; rank 0 adds the exit status."""
    if comm.size > 1:
        _report_exit(comm.rank, status)


def _report_exit(rank: int, status: int | None) -> None:
    parent = StatusChannel.of_this_process()
    if parent is None:
        return
    if rank == 0:
        parent.send("completed", "" if status is None else str(status))
    parent.unregister(rank)


def join_exit_barriers(config: pytest.Config, comm: Comm, barriers_passed: int) -> int | None:
    """Pass the final barriers that this rank's session ended before.

    Return the session's exit status if an internal error on any rank has ended it, None if rank 0's
    own exit status is the session's.
    """
    had_error = config.stash.get(HAD_INTERNAL_ERROR, False)
    status = int(pytest.ExitCode.INTERNAL_ERROR)
    own = RankEnd(socket.gethostname(), status, had_internal_error=had_error)
    grace_s = grace_before_options(config, known_options(config))
    ends: list[RankEnd] = []
    try:
        for label in (SESSION_END, RUN_END, EXIT_BARRIER)[barriers_passed:]:
            ends = comm.agree(label, own, phase=SessionPhase.FINISH, grace_s=grace_s)
    except TimeoutError:
        _abort(comm, "its session ended early", grace_s)
    return status if any(end.had_internal_error for end in ends) else None


def _abort(comm: Comm, problem: str, grace_s: float | None) -> NoReturn:
    comm.abort(
        ABORT_STATUS,
        f"\nmlpstorage: rank {comm.rank} on {socket.gethostname()} has failed, and other ranks did "
        f"not respond within {grace_s:g} s. All ranks are aborted. The failure was: {problem}",
    )
