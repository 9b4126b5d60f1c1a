"""End of a session: all ranks agree on one exit status, and the run's results are written."""

from __future__ import annotations

import functools
import sqlite3
import traceback
from collections.abc import Sequence
from contextlib import suppress

import pytest

from mlpstorage_bench.cluster.host import HostRecord, at_end
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.history.archive import enter_run
from mlpstorage_bench.history.reading import read_document
from mlpstorage_bench.mpi.comm import SessionPhase
from mlpstorage_bench.mpi.ranks import Notice
from mlpstorage_bench.process.stderr import say
from mlpstorage_bench.session.end_files import problems_of, write_files
from mlpstorage_bench.session.outcomes import OthersLeft
from mlpstorage_bench.session.pytest_internals.failures import Exit
from mlpstorage_bench.session.rank_checks import format_problems
from mlpstorage_bench.session.rendezvous import EXIT_BARRIER, RUN_END, SESSION_END, RankEnd
from mlpstorage_bench.session.run import Run
from mlpstorage_bench.session.session import MlpsSession

_COMMON_ENDS = frozenset(
    {
        pytest.ExitCode.OK,
        pytest.ExitCode.TESTS_FAILED,
        pytest.ExitCode.USAGE_ERROR,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    }
)
"""Statuses that ranks reach together; with any other status, a rank may have ended alone."""


def end(session: MlpsSession, exit_status: int) -> int:
    """End the session together with all ranks; return the exit status of every rank."""
    status, tests_passed = _agree_on_end(session, exit_status)
    return _close_run(session, status, tests_passed=tests_passed)


def pass_exit_barrier(session: MlpsSession, exit_status: int, failure: BaseException | None) -> int:
    """Wait for all ranks after the last fixtures and hooks; return the status of all.

    A rank whose fixture or hook failed prints the failure, and the session fails on every rank.
    """
    problem = ""
    if failure is not None:
        problem = "".join(traceback.format_exception(failure))
        exit_status = _status_after(failure, exit_status)
        if session.comm.size > 1:  # else pytest or Python shows it
            place = f"rank {session.comm.rank} on {session.host}"
            say(f"\nmlpstorage: {place} failed at the session's end:\n{problem}")
    ends = _pass_barrier(session, EXIT_BARRIER, RankEnd(session.host, exit_status, problem))
    failed = [one.status for one in ends if one.problem]
    status = max(failed) if failed else ends[0].status
    _correct(session, status, failure)
    return status


def record_late_failure(session: MlpsSession, failure: BaseException) -> None:
    """Correct the results of a run after whose end pytest has failed."""
    session.exit_status = _status_after(failure, session.exit_status or 0)
    _correct(session, session.exit_status, failure)


def _correct(session: MlpsSession, status: int, failure: BaseException | None) -> None:
    """Write the results of each run again whose exit status is another one by now."""
    for part in session.parts:
        own = part.status_in(status)
        if part.run.exit_status != own:
            _finish_again(part.run, own, failure)


def _finish_again(run: Run, status: int, failure: BaseException | None) -> None:
    note = "the session's end failed, after results were written"
    if isinstance(failure, KeyboardInterrupt):
        note = "the session's end was interrupted"
    run.add_notes([note])
    problems = problems_of(lambda: run.finish(status))
    if problems:
        problems += problems_of(lambda: run.end_without_results(status))
    for problem in problems:
        say(f"ERROR: {problem}")


def _status_after(failure: BaseException, status: int) -> int:
    """Return the exit status of pytest after a failure of one of its last hooks."""
    match failure:
        case Exit(returncode=code):
            return status if code is None else int(code)
        case SystemExit(code=code):
            return code if isinstance(code, int) else int(code is not None)
        case KeyboardInterrupt():
            return status or int(pytest.ExitCode.INTERRUPTED)
    return status or int(pytest.ExitCode.TESTS_FAILED)


def _pass_barrier(session: MlpsSession, label: str, own: RankEnd) -> Sequence[RankEnd]:
    """Pass a final barrier of all ranks; abort after the grace if this rank may be here alone."""
    is_abnormal = bool(own.problem) or own.status not in _COMMON_ENDS
    grace_s = session.settings.failure_grace_s if is_abnormal else None
    if is_abnormal:
        session.comm.announce(Notice.FAILED)
    try:
        ends = session.comm.agree(label, own, phase=SessionPhase.FINISH, grace_s=grace_s)
    except TimeoutError:
        detail = f": {own.problem}" if own.problem else ""
        session.abort(
            f"\nmlpstorage: rank {session.comm.rank} on {session.host} ended its session with "
            f"status {own.status}, and other ranks did not respond within {grace_s:g} s. All "
            f"ranks are aborted{detail}",
        )
    session.barriers_passed += 1
    return ends


def _agree_on_end(session: MlpsSession, exit_status: int) -> tuple[int, bool]:
    """Wait until every rank has ended; return the status of all, and whether tests passed."""
    passed_before_gate = exit_status == pytest.ExitCode.OK
    outcomes = [part.gate.outcome for part in session.parts if part.gate is not None]
    if exit_status == pytest.ExitCode.OK and outcomes:
        exit_status = max(one.status for one in outcomes)
        passed_before_gate = not any(one.has_failed_trial for one in outcomes)
    if exit_status == pytest.ExitCode.OK and session.has_nothing_to_judge:
        exit_status = int(pytest.ExitCode.USAGE_ERROR)
    left = session.left
    why = "" if left is None else pytest.ExceptionInfo.from_exception(left).exconly(tryshort=True)
    if left is not None or exit_status not in _COMMON_ENDS:
        for run in session.runs:
            with suppress(MlpsError):  # the run's end reports it
                run.record_final_status(exit_status)
    own = RankEnd(
        session.host,
        exit_status,
        why,
        follows=isinstance(left, OthersLeft),
        by_gate=passed_before_gate and exit_status != pytest.ExitCode.OK,
        had_internal_error=exit_status == pytest.ExitCode.INTERNAL_ERROR,
        host_at_end=_host_at_end(session),
    )
    ends = _pass_barrier(session, SESSION_END, own)
    _keep_hosts_at_end(session, ends)
    session.remarks += [
        f"rank {rank} on {one.host} ended its session with status {one.status}"
        + (f": {one.problem}" if one.problem else "")
        for rank, one in enumerate(ends)
        if not one.follows and (one.status, one.problem) != (ends[0].status, ends[0].problem)
    ]
    statuses = {one.status for one in ends if not one.follows or all(e.follows for e in ends)}
    if any(one.had_internal_error for one in ends):
        statuses.discard(int(pytest.ExitCode.USAGE_ERROR))  # ranks that miss the others report it
    leading = max(statuses)
    is_left_alone = any(one.follows for one in ends)
    status = leading or (int(pytest.ExitCode.INTERRUPTED) if is_left_alone else leading)
    tests_passed = all(one.by_gate or one.status == pytest.ExitCode.OK for one in ends)
    return status, tests_passed and not is_left_alone


def _host_at_end(session: MlpsSession) -> HostRecord | None:
    """Return this rank's host with its counters of now, if there is a run and it describes it."""
    if not session.runs or not session.cluster.describes_host(session.comm.rank):
        return None
    return at_end(session.cluster.host_of_rank(session.comm.rank))


def _keep_hosts_at_end(session: MlpsSession, ends: Sequence[RankEnd]) -> None:
    """Give the run the hosts' counters at its end, if those of all hosts are known."""
    hosts = [one.host_at_end for one in ends if one.host_at_end is not None]
    if session.runs and len(hosts) == session.cluster.num_hosts:
        for run in session.runs:
            run.system_info_at_end = session.cluster.with_hosts(hosts).system_info()


def _close_run(session: MlpsSession, exit_status: int, *, tests_passed: bool) -> int:
    """Release the run's resources and write its results; return the session's exit status.

    The session fails on every rank if cache files cannot be removed or results cannot be written.
    """
    problems: list[str] = []
    try:
        problems += problems_of(session.resources.close)
    except KeyboardInterrupt:  # in a session of one process: ranks ignore it here
        exit_status = exit_status or int(pytest.ExitCode.INTERRUPTED)
        tests_passed = False
        for run in session.runs:
            run.add_notes(["interrupted while cache files were removed"])
    if problems:
        exit_status = exit_status or int(pytest.ExitCode.TESTS_FAILED)
        tests_passed = False
    statuses = _own_statuses(session, exit_status, is_clean=not problems)
    written: list[Run] = []
    for part, status in zip(session.parts, statuses, strict=True):
        part.session_status, part.own_status = exit_status, status
        passed = tests_passed or (status != exit_status and part.has_passed_tests)
        write = functools.partial(_write_results, session, part.run, status, tests_passed=passed)
        unwritten = problems_of(write)
        if unwritten:
            failed = status or int(pytest.ExitCode.TESTS_FAILED)
            unwritten += problems_of(functools.partial(part.run.end_without_results, failed))
            part.own_status = failed
        else:
            written.append(part.run)
        problems += unwritten
    for run in written:
        run.forget_trials()
    if problems:
        exit_status = exit_status or int(pytest.ExitCode.TESTS_FAILED)
    own = RankEnd(session.host, exit_status, "\n".join(problems))
    ends = session.comm.agree(RUN_END, own, phase=SessionPhase.FINISH, grace_s=None)
    session.barriers_passed += 1
    if not any(one.problem for one in ends):
        return exit_status
    session.remarks.append(f"ERROR: {format_problems([(one.host, one.problem) for one in ends])}")
    return exit_status or int(pytest.ExitCode.TESTS_FAILED)


def _own_statuses(session: MlpsSession, status: int, *, is_clean: bool) -> list[int]:
    """Return each run's exit status: its own if failed tests and gates explain the session's.

    All runs share an end that has another reason, such as an interrupt.
    """
    own = [part.failure_status for part in session.parts]
    is_explained = is_clean and session.left is None and status == max(own, default=0)
    return own if is_explained else [status] * len(own)


def _write_results(session: MlpsSession, run: Run, exit_status: int, *, tests_passed: bool) -> None:
    run.add_notes([problem for problem in session.hooks.problems if problem not in run.notes])
    metadata = run.finish(exit_status, tests_passed=tests_passed)
    if metadata is not None:
        _enter_in_history(session, run)
        unwritten = write_files(session, run, metadata)
        problems = session.hooks.result(run, lambda: read_document(run.location.metadata_path))
        session.remarks += [f"ERROR: {problem}" for problem in problems]
        if unwritten:
            raise MlpsError("\n".join(unwritten))


def _enter_in_history(session: MlpsSession, run: Run) -> None:
    """Add the run to the history's index; on failure the history finds its files later."""
    try:
        enter_run(session.settings.results_dir, run.location.metadata_path)
    except (sqlite3.Error, OSError) as error:
        session.remarks.append(
            f"the history's index was not written ({error}); --mlps-history reads the run's "
            "metadata instead"
        )
