"""Agreement of ranks on pytest's reports: a test that fails on one rank fails on all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, Self

import pytest

from mlpstorage_bench.errors import MlpsError, PeerError
from mlpstorage_bench.mpi.agreement import (
    AgreedOutcome,
    RankOutcome,
    agree_outcome,
    describe_causes,
    name_ranks,
)
from mlpstorage_bench.mpi.comm import Comm, RanksDivergedError, SessionPhase
from mlpstorage_bench.mpi.ranks import Notice
from mlpstorage_bench.session.pytest_internals.failures import Exit

_WORDING = {"failed": ("failed", "failure"), "skipped": ("was skipped", "reason")}
"""Verb for a test that ended early, and noun for its text, by outcome."""


class OthersLeft(Exit):
    """Ends a rank's session because another rank has ended its own, whose status counts."""

    @classmethod
    def after(cls, diverged: RanksDivergedError) -> Self:
        """Return the exception for ranks that are at different sync points."""
        gone = [point.rank for point in diverged.sync_points if point.phase is SessionPhase.FINISH]
        if gone:
            return cls(f"rank {', '.join(map(str, gone))} ended its session", returncode=2)
        return cls(f"The ranks no longer run the same test: {diverged}", returncode=2)


def agree_on_report(
    report: pytest.TestReport,
    excinfo: pytest.ExceptionInfo[BaseException] | None,
    comm: Comm,
    host: str,
    grace_s: float,
    abort: Callable[[str], NoReturn],
) -> None:
    """Agree with all ranks on one phase of a test, and set the report accordingly."""
    own = None if report.passed else _own_outcome(report, excinfo, comm.rank, host)
    leaves = own is not None and not own.secondary
    if own is not None and leaves and own.outcome == "failed":
        comm.announce(Notice.FAILED)
    label = f"report of {report.nodeid}, {report.when}"
    try:
        reported = comm.agree(
            label,
            own,
            phase=SessionPhase.REPORT,
            grace_s=grace_s if leaves else None,
        )
    except TimeoutError:
        assert own is not None  # a limit is set by a failure or a skip alone
        verb, noun = _WORDING[own.outcome]
        abort(
            f"\nmlpstorage: {report.nodeid} {verb} on {name_ranks([own])}, and other ranks did not "
            f"respond within {grace_s:g} s: they wait outside of mpi_comm, or hang. All ranks are "
            f"aborted. The {noun} was:\n\n{own.text}",
        )
    except RanksDivergedError as diverged:
        raise OthersLeft.after(diverged) from diverged
    if any(reported):
        outcomes = [one or RankOutcome(rank, "", "passed") for rank, one in enumerate(reported)]
        _apply(agree_outcome(outcomes), outcomes[comm.rank], report, comm.size)


def _own_outcome(
    report: pytest.TestReport,
    excinfo: pytest.ExceptionInfo[BaseException] | None,
    rank: int,
    host: str,
) -> RankOutcome:
    location = ("", 0)
    text = report.longreprtext
    if report.skipped and isinstance(report.longrepr, tuple):
        path, line, text = report.longrepr
        location = (str(path), int(line))
    return RankOutcome(
        rank=rank,
        host=host,
        outcome=report.outcome,
        text=text,
        headline="" if excinfo is None else _headline(excinfo),
        secondary=excinfo is not None and isinstance(excinfo.value, PeerError),
        location=location,
        expected_failure=getattr(report, "wasxfail", None),
    )


def _headline(excinfo: pytest.ExceptionInfo[BaseException]) -> str:
    """Return the first line of an error, without the module of one that explains itself."""
    line = excinfo.exconly().splitlines()[0]
    error = excinfo.type
    return line.removeprefix(f"{error.__module__}.") if issubclass(error, MlpsError) else line


def _apply(agreed: AgreedOutcome, own: RankOutcome, report: pytest.TestReport, size: int) -> None:
    others = [cause for cause in agreed.causes if cause.rank != own.rank]
    decided_here = len(others) < len(agreed.causes)
    if agreed.outcome == "failed":
        if decided_here:
            if len(agreed.causes) < size:
                place = f"{name_ranks([own])}: {own.headline}"
                report.sections.append(("this failed on", place))
            report.sections += [
                (f"failure on {name_ranks([cause])}", cause.text)
                for cause in others
                if cause.text != own.text
            ]
        else:
            report.longrepr = describe_causes(others)
    elif agreed.outcome == "skipped" and not decided_here:
        cause = others[0]
        if cause.expected_failure is not None:
            _mark_expected(report, cause.expected_failure)
            report.longrepr = cause.text
        else:
            report.longrepr = (*cause.location, f"{cause.text} (on {name_ranks(others)})")
    report.outcome = agreed.outcome


def _mark_expected(report: Any, reason: str) -> None:
    report.wasxfail = reason
