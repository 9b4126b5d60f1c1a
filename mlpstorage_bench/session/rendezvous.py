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
from typing import NoReturn

import pytest

from mlpstorage_bench.errors import LaunchError
from mlpstorage_bench.launch.environment import LauncherEnvironment
from mlpstorage_bench.launch.status_channel import StatusChannel
from mlpstorage_bench.mpi import hydra_guard
from mlpstorage_bench.mpi.comm import Comm, RanksDivergedError, SessionPhase
from mlpstorage_bench.mpi.ranks import Notice
from mlpstorage_bench.mpi.watchdog import limit_process
from mlpstorage_bench.options.settings import grace_before_options, startup_limit_s
from mlpstorage_bench.process.stderr import ABORT_STATUS, descriptor, say
from mlpstorage_bench.session import rank_output
from mlpstorage_bench.session.activation import COMM, KEY
from mlpstorage_bench.session.pytest_internals import known_options
from mlpstorage_bench.session.rank_checks import usage_error

HAD_INTERNAL_ERROR = pytest.StashKey[bool]()
SESSION_END, RUN_END, EXIT_BARRIER = "the session's end", "the run's end", "the parting of ranks"
"""Where all ranks meet last, in this order, also those that leave early."""

_LATER_S = 5.0
"""How much longer a rank waits for others to start than these may take, to tell where they are."""


@dataclass(frozen=True)
class RankEnd:
    """What a rank brings to where all meet last."""

    host: str
    status: int = int(pytest.ExitCode.OK)
    problem: str = ""
    """What it has to tell of that."""
    follows: bool = False
    """Whether it ends because another rank does: then its own status is of no account."""
    by_gate: bool = False
    """Whether the gate alone has called for the status."""
    had_internal_error: bool = False
    """Whether pytest or a hook failed on it, outside of tests."""


class InternalErrorReport:
    """Plugin object that prints a rank's internal error, and keeps that there was one."""

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
    """Join the ranks, and end the session on all of them where what is inside fails on one.

    Rank 0 alone is seen from here on.
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
    """Join the ranks of a session that turns out to be ours when conftests are loaded."""
    rank_output.refuse_workers(config)
    if launcher.rank > 0:
        rank_output.silence_output_after_collection(config)
    return _join(config, launcher)


def _join(config: pytest.Config, launcher: LauncherEnvironment) -> Comm:
    config.pluginmanager.register(InternalErrorReport(launcher, config))
    comm = config.stash[COMM] = _connect(config, launcher)
    config.add_cleanup(lambda: _leave(config, comm))
    return comm


def _leave(config: pytest.Config, comm: Comm) -> None:
    """Let no rank leave without the others, and tell the parent that this one came to its end.

    Whatever hooks do: pytest calls this when it unconfigures.
    """
    session = config.stash.get(KEY, None)
    if comm.size == 1:
        return
    comm.ignore_interrupts()
    barriers_passed = 0 if session is None else session.barriers_passed
    status = join_exit_barriers(config, comm, barriers_passed)
    agreed = None if session is None else session.exit_status
    report_exit(comm, status if agreed is None else agreed)


def _connect(config: pytest.Config, launcher: LauncherEnvironment) -> Comm:
    """Initialise MPI; a rank that ended before will never come.

    From here to collection a rank's start has its limit, and so has waiting for another's.
    """
    from mlpstorage_bench.mpi.mpi_comm import connect  # noqa: PLC0415 - brings NumPy: for ranks alone

    parent = StatusChannel.of_this_process()
    if parent is not None:
        parent.register(launcher.rank)
    try:
        limit_process(startup_limit_s(config))
        comm = connect(launcher)
    except LaunchError as error:
        _refuse(launcher, str(error))
        raise usage_error("", is_root=False) from error
    if parent is not None and comm.rank == 0:
        parent.send("joined")
    if parent is None and launcher.launcher == "hydra":
        here = f"rank {comm.rank} on {socket.gethostname()}"
        line = f"mlpstorage: {here} died before the session's end. All ranks are aborted."
        hydra_guard.start(line, ABORT_STATUS, os.environ, descriptor())
    return comm


def _refuse(launcher: LauncherEnvironment, problem: str) -> None:
    """Tell why this rank does not join: one rank of each host does, the first that comes here.

    Ranks that MPI does not bring together cannot agree who it is to be, and rank 0 may have nothing
    to tell, or be ended by the launcher as soon as another rank has ended.
    """
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0mlpstorage-refusal-{os.getppid()}")  # a name, not a file; while this rank is
    except OSError:
        pass  # another rank of this host has told
    else:
        say(f"ERROR: rank {launcher.rank} on {socket.gethostname()}: {problem}\n")
    claim.detach()
    status = int(pytest.ExitCode.USAGE_ERROR)
    parent = StatusChannel.of_this_process()
    if parent is not None:
        headline, _, _ = problem.partition(": ")
        parent.send("aborting", f"{status} {headline}")
    _report_exit(launcher.rank, status)


def agree_on_problem(config: pytest.Config, comm: Comm, label: str, problem: str) -> None:
    """Raise a usage error on every rank when any has a problem; rank 0 raises its own itself."""
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
        text = f"A rank ended its session before all had begun: {diverged}"
        here = [
            point.rank for point in diverged.sync_points if point.phase is not SessionPhase.FINISH
        ]
        if 0 not in here and comm.rank == here[0]:
            say(f"ERROR: {text}")
        raise usage_error(text, is_root=comm.rank == 0) from diverged
    told: dict[str, list[str]] = {}
    for rank, (host, text) in enumerate(problems):
        if text:
            told.setdefault(text, []).append(f"rank {rank} on {host}")
    if not told:
        return
    report_exit(comm)
    shown_by_pytest = problem if comm.rank == 0 else ""
    lines = [
        f"{', '.join(places)} failed at {label}, as shown below"
        if text == shown_by_pytest
        else f"{', '.join(places)}: {text}"
        for text, places in told.items()
    ]
    if not shown_by_pytest:
        raise usage_error("\n".join(lines), is_root=comm.rank == 0)
    say("ERROR: " + "\n".join(lines))


def report_exit(comm: Comm, status: int | None = None) -> None:
    """Tell the parent that this rank is about to end as it should; rank 0 says with what status."""
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
    """Pass the exit barriers that this rank has not passed; its session ended before them.

    Return the exit status of the session where no rank's session had begun and an internal error
    on any of them is the reason; None where rank 0's own exit status is that of the session.
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
        _abort(comm, "its session did not come to its end", grace_s)
    return status if any(end.had_internal_error for end in ends) else None


def _abort(comm: Comm, problem: str, grace_s: float | None) -> NoReturn:
    comm.abort(
        ABORT_STATUS,
        f"\nmlpstorage: rank {comm.rank} on {socket.gethostname()} has failed, and other ranks did "
        f"not get to know within {grace_s:g} s. All ranks are aborted. The failure was: {problem}",
    )
