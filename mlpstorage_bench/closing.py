"""A session's end, where all ranks meet last: one exit status, and the results of the run."""

from __future__ import annotations

import sqlite3

import pytest

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.history.archive import enter_run
from mlpstorage_bench.joining import RUN_END, SESSION_END
from mlpstorage_bench.mpi.comm import Notice, Place
from mlpstorage_bench.ranks import tell_problems
from mlpstorage_bench.report.render import write_report
from mlpstorage_bench.session import MlpsSession

_COMMON_ENDS = frozenset(
    {
        pytest.ExitCode.OK,
        pytest.ExitCode.TESTS_FAILED,
        pytest.ExitCode.USAGE_ERROR,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    }
)
"""Statuses to which ranks come together; with any other a rank may have left on its own."""


def end(session: MlpsSession, exit_status: int) -> int:
    """Come to the session's end with all ranks; return the status that every one exits with."""
    return _close_run(session, _agree_on_end(session, exit_status))


def _agree_on_end(session: MlpsSession, exit_status: int) -> int:
    """Wait until every rank is at its end, and return the status that all of them exit with."""
    if exit_status == pytest.ExitCode.OK and session.gating is not None:
        exit_status = session.gating.status
    if exit_status == pytest.ExitCode.OK and session.has_nothing_to_judge:
        exit_status = int(pytest.ExitCode.USAGE_ERROR)
    own = (session.host, exit_status)
    is_abnormal = exit_status not in _COMMON_ENDS
    grace_s = session.settings.failure_grace_s if is_abnormal else None
    if is_abnormal:
        session.comm.announce(Notice.FAILED)
        if session.run is not None:
            session.run.note_leaving(exit_status)
    try:
        ends = session.comm.agree(SESSION_END, own, place=Place.FINISH, grace_s=grace_s)
    except TimeoutError:
        session.abort(
            f"\nmlpstorage: rank {session.comm.rank} on {session.host} ended its session with "
            f"status {exit_status}, and other ranks did not get to know within {grace_s:g} s. All "
            "ranks are aborted.",
        )
    session.remarks += [
        f"rank {rank} on {host} ended its session with status {status}"
        for rank, (host, status) in enumerate(ends)
        if status != ends[0][1]
    ]
    return max(status for _, status in ends)


def _close_run(session: MlpsSession, exit_status: int) -> int:
    """Release what the run holds, and write its results; return the session's exit status.

    Cache files that cannot be removed, and results that cannot be written, fail the session on
    every rank.
    """
    told = []
    try:
        session.resources.close()
    except MlpsError as error:
        told.append(str(error))
        exit_status = exit_status or int(pytest.ExitCode.TESTS_FAILED)
    try:
        _leave_results(session, exit_status)
    except MlpsError as error:
        told.append(str(error))
    own = (session.host, "\n".join(told))
    problems = session.comm.agree(RUN_END, own, place=Place.FINISH, grace_s=None)
    if not any(text for _, text in problems):
        return exit_status
    session.remarks.append(f"ERROR: {tell_problems(problems)}")
    return exit_status or int(pytest.ExitCode.TESTS_FAILED)


def _leave_results(session: MlpsSession, exit_status: int) -> None:
    metadata = None if session.run is None else session.run.finish(exit_status)
    if metadata is not None:
        _enter_in_history(session)
        for path in session.settings.reports:
            session.remarks.append(f"report: {write_report(path, metadata)}")


def _enter_in_history(session: MlpsSession) -> None:
    """Let the history know of the run; without that it will find it by itself."""
    assert session.run is not None
    try:
        enter_run(session.settings.results_dir, session.run.location.metadata_path)
    except (sqlite3.Error, OSError) as error:
        session.remarks.append(
            f"the history's index was not written ({error}); --mlps-history reads the run's "
            "metadata instead"
        )
