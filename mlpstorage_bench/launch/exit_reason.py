"""Exit status of a launched session, and the reason when it did not complete."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mlpstorage_bench.launch.command import LaunchPlan
from mlpstorage_bench.launch.forwarding import write
from mlpstorage_bench.launch.monitor import INTERRUPTED, TOO_LONG, LaunchMonitor
from mlpstorage_bench.launch.next_step import next_step
from mlpstorage_bench.launch.status_channel import StatusReader
from mlpstorage_bench.process.stderr import ABORT_STATUS

INCOMPLETE = 1
"""Exit status when rank 0 ended before a session existed, and the launcher reports success."""
_NAMED = 16
"""Maximum number of ranks that a message names."""
_MEANINGLESS = frozenset({0, 5})
"""Launcher statuses that look like success although ranks failed.

MPICH returns the bitwise or of its ranks' statuses: 1 and 4 make 5, `no tests`.
"""

_UNREPORTED = "rank 0 did not report the session's end"

RunStatus = Literal["failed", "interrupted", "died"]


@dataclass(frozen=True)
class LaunchExit:
    """Result of a launched session."""

    status: int
    """Exit status for the shell."""
    reason: str = ""
    """Why the session did not complete; '' when it did."""
    run_metadata: tuple[Path, ...] = ()
    """Metadata files of the runs that rank 0 opened, as paths on rank 0's host."""
    run_status: RunStatus = "failed"
    """Run status to record when rank 0 could not write one."""


def exit_of(
    plan: LaunchPlan, status_reader: StatusReader, launcher_status: int, monitor: LaunchMonitor
) -> LaunchExit:
    """Return the session's exit status, and print why the session did not complete if so."""
    opened = status_reader.read("run")
    paths = tuple(map(Path, json.loads(opened))) if opened else ()
    completed = status_reader.read("completed")
    own = int(completed or 0)
    if own:
        run_status: RunStatus = "interrupted" if own == INTERRUPTED else "failed"
        return LaunchExit(own, run_metadata=paths, run_status=run_status)
    if completed and launcher_status == 0 and not monitor.reason:
        return LaunchExit(0, run_metadata=paths)
    if completed == "" and not monitor.reason:  # rank 0 ended before a session existed
        status = INCOMPLETE if launcher_status in _MEANINGLESS else launcher_status
        return LaunchExit(status, run_metadata=paths)
    failure = _decided_by_session(status_reader, monitor) or _decided_by_exits(
        status_reader, monitor
    )
    reason, advice = failure.reason, ""
    if status_reader.read("joined") is None:
        if not status_reader.registered_hosts() and failure.reason == _UNREPORTED:
            failure = replace(failure, reason="no rank started")
            reason, advice = failure.reason, f"{next_step(plan, launcher_status)}. "
        requested = ", ".join(host.name for host in plan.layout.hosts)
        registered = ", ".join(status_reader.registered_hosts()) or "none"
        reason = f"{reason}; hosts requested: {requested}; ranks started on: {registered}"
        missing = sorted({*range(plan.layout.total)} - status_reader.registered_ranks())
        if missing:
            reason = f"{reason}; no status from {_numbered(missing)}"
    if launcher_status == 0:
        reason = f"the launcher reports success, but {reason}"
    unreported = status_reader.missing_at_limit()
    if unreported:
        reason = f"{reason}; no status from {', '.join(unreported)}"
    write(
        f"mlpstorage: {reason}. {advice}Exit status of the launcher: {launcher_status}. "
        f"Launched: {plan.shell_line()}\n".encode()
    )
    return replace(failure, reason=reason, run_metadata=paths)


def _decided_by_session(status_reader: StatusReader, monitor: LaunchMonitor) -> LaunchExit | None:
    """Return how the session failed where ranks reported it, or this process was interrupted."""
    aborting = status_reader.read("aborting")
    if status_reader.read("completed") is not None:
        reason = monitor.reason or "the launcher failed after the session's end"
        return LaunchExit(ABORT_STATUS, reason, run_status="died")
    if aborting is not None:
        status, _, reason = aborting.partition(" ")
        return LaunchExit(int(status), reason)
    if monitor.was_interrupted:
        reason = "it was interrupted, and the ranks did not end within the grace"
        return LaunchExit(INTERRUPTED, reason, run_status="interrupted")
    if status_reader.read("joined") is None and status_reader.registered_hosts():
        return LaunchExit(ABORT_STATUS, "the ranks did not connect through MPI")
    return None


def _decided_by_exits(status_reader: StatusReader, monitor: LaunchMonitor) -> LaunchExit:
    """Return how a session failed whose ranks reported nothing, from what ended and when.

    Launchers differ in the status that they return for a rank that died (137, 9, 1, 0): the
    session's exit status is 86 whatever the launcher returned.
    """
    elsewhere = status_reader.exited_elsewhere()
    reason = monitor.reason
    if monitor.limit_exceeded:
        return LaunchExit(ABORT_STATUS, reason)
    if elsewhere and not reason:  # its line was read only after the launcher had ended
        reason = f"{elsewhere[0]} died before the session's end"
    if reason:
        # the line of the rank that died first may arrive after that of a rank that died of it
        others = [rank for rank in elsewhere if rank not in reason][:_NAMED]
        if others:
            reason = f"{reason}; so did {', '.join(others)}, which may have been the first"
        return LaunchExit(ABORT_STATUS, reason, run_status="died")
    if status_reader.missing_at_limit():
        return LaunchExit(ABORT_STATUS, TOO_LONG)
    if monitor.launcher_was_killed:
        return LaunchExit(ABORT_STATUS, "the launcher was killed (SIGKILL)", run_status="died")
    if status_reader.stopped_ranks():
        reason = "the ranks received a stop signal, and the launcher killed them before their end"
        return LaunchExit(INTERRUPTED, reason, run_status="interrupted")
    return LaunchExit(ABORT_STATUS, _UNREPORTED, run_status="died")


def _numbered(ranks: Sequence[int]) -> str:
    """Return the numbers of some ranks, and how many more there are."""
    numbers = ", ".join(map(str, ranks[:_NAMED]))
    more = f" and {len(ranks) - _NAMED} more" if len(ranks) > _NAMED else ""
    return f"rank{'s' if len(ranks) > 1 else ''} {numbers}{more}"
