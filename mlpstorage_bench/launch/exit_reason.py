"""How a launched session ended: rank 0's word for it, or else why it did not come to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.launch.command import LaunchPlan
from mlpstorage_bench.launch.monitor import INTERRUPTED, TOO_LONG, LaunchMonitor
from mlpstorage_bench.launch.status_channel import StatusReader
from mlpstorage_bench.launch.stderr_filter import write
from mlpstorage_bench.process.stderr import ABORT_STATUS

INCOMPLETE = 1
_NAMED = 16
"""How many ranks a message names."""
_MEANINGLESS = frozenset({0, 5})
"""Statuses that mean something good, which a launcher may return for ranks that died.

MPICH returns the bitwise or of its ranks' statuses: 1 and 4 make 5, `no tests`.
"""


@dataclass(frozen=True)
class LaunchExit:
    """How a launched session ended."""

    status: int
    reason: str = ""
    """Why the session did not come to its end; '' when it did."""
    run_metadata: Path | None = None
    """The metadata of the run that it had opened, on this host."""
    was_interrupted: bool = False
    """Whether it was ended because this process was asked to stop."""


def exit_of(
    plan: LaunchPlan, status_reader: StatusReader, status: int, monitor: LaunchMonitor
) -> LaunchExit:
    """Decide what the session's status is, and say why it did not come to its end if so."""
    metadata = status_reader.read("run")
    path = Path(metadata) if metadata else None
    completed = status_reader.read("completed")
    own = int(completed or 0)
    if own or (completed is not None and not monitor.reason):
        is_true = status not in _MEANINGLESS or (bool(completed) and status == 0)
        return LaunchExit(own or (status if is_true else INCOMPLETE), run_metadata=path)
    status, reason = _failure(status_reader, status, monitor)
    if status_reader.read("joined") is None:
        asked = ", ".join(host.name for host in plan.layout.hosts)
        came = ", ".join(status_reader.came_from()) or "none"
        reason = f"{reason}; hosts asked: {asked}; ranks came from: {came}"
        missing = sorted({*range(plan.layout.total)} - status_reader.ranks_that_came())
        if missing:
            reason = f"{reason}; nothing was heard of {_numbered(missing)}"
    if status in _MEANINGLESS:
        said = "the launcher reports success, but " if status == 0 else ""
        reason, status = f"{said}{reason}", INCOMPLETE
    silent = status_reader.silent_at_limit()
    if silent:
        reason = f"{reason}; nothing was heard of {', '.join(silent)}"
    write(f"mlpstorage: {reason}. Launched: {plan.shell_line()}\n".encode())
    return LaunchExit(status, reason, path, monitor.was_interrupted)


def _failure(status_reader: StatusReader, status: int, monitor: LaunchMonitor) -> tuple[int, str]:
    """Return the status of a session that failed without rank 0's word for it, and why it did."""
    aborting, reason = status_reader.read("aborting"), monitor.reason
    if status_reader.read("completed") is not None:
        pass  # a rank died later, and the launcher's status is of that
    elif aborting is not None:
        code, _, reason = aborting.partition(" ")
        status = int(code)
    elif status == INTERRUPTED and monitor.was_interrupted:
        reason = "it was interrupted, and the ranks did not end by themselves"
    elif status_reader.read("joined") is None and status_reader.came_from():
        status, reason = ABORT_STATUS, "the ranks did not come together in MPI"
    elif monitor.gave_up:
        status = ABORT_STATUS
    elif reason:
        # word of a death may come later than that of what it led to
        others = [rank for rank in status_reader.dead_elsewhere() if rank not in reason][:_NAMED]
        if others:
            reason = f"{reason}; so did {', '.join(others)}, which may have been the first"
    elif status_reader.silent_at_limit():
        status, reason = ABORT_STATUS, TOO_LONG
    else:
        reason = "rank 0 did not come to its end (no completion record)"
    return status, reason


def _numbered(ranks: Sequence[int]) -> str:
    """Name some ranks, and how many more there are."""
    numbers = ", ".join(map(str, ranks[:_NAMED]))
    more = f" and {len(ranks) - _NAMED} more" if len(ranks) > _NAMED else ""
    return f"rank{'s' if len(ranks) > 1 else ''} {numbers}{more}"
