"""Time limit of a test or of another session step: on expiry, report all ranks and abort them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mlpstorage_bench.launch.status_channel import StatusChannel
from mlpstorage_bench.mpi.comm import Comm
from mlpstorage_bench.mpi.watchdog import Watchdog, end_process, stacks, turn_s
from mlpstorage_bench.process.stderr import ABORT_STATUS, say


class TimeLimit:
    """Limits each step of a session, and ends the session when a step exceeds the limit."""

    def __init__(
        self,
        limit_s: float | None,
        grace_s: float,
        comm: Comm,
        host: str,
        parent: StatusChannel | None,
        write_partial_results: Callable[[str, float], None],
    ) -> None:
        self._limit_s = limit_s
        self._grace_s = grace_s
        self._comm = comm
        self._host = host
        self._parent = parent
        self._write_partial_results = write_partial_results
        """Writes the results so far and the reason of the end, within a number of seconds."""
        self._watchdog = None if limit_s is None else Watchdog(limit_s, grace_s, self._expired)

    @contextmanager
    def guard_test(self, step: str) -> Iterator[None]:
        """Limit the time of the body, and report the step to the parent."""
        if self._watchdog is None:
            yield
            return
        self._report_step(step)
        with self._watchdog.guard_test(step):
            yield
        self._report_step("")

    def extend(self, seconds: float) -> None:
        """Give the current step more time: a pause does not count."""
        if self._watchdog is not None:
            self._watchdog.extend(seconds)

    def _report_step(self, step: str) -> None:
        if self._parent is not None and self._comm.rank == 0:
            self._parent.send("step", step)

    def _expired(self, step: str) -> None:
        """Print the stacks, then end the session on all ranks; runs in the watchdog's thread."""
        rank, place = self._comm.rank, self._comm.waits_at
        headline = f"{step} has taken longer than --mlps-timeout {self._limit_s:g} s"
        here = f"waits for the others at {place!r}" if place else "does not wait for the others"
        say(f"\nmlpstorage: {headline}. Rank {rank} on {self._host} {here}:\n\n{stacks()}")
        if self._parent is not None:
            self._parent.report_limit(rank)
        least_s, most_s = turn_s(rank, self._comm.size, self._grace_s)
        began_s = time.monotonic()
        self._write_partial_results(headline, most_s)
        time.sleep(max(0.0, began_s + least_s - time.monotonic()))
        message = f"mlpstorage: {headline}. All ranks are aborted."
        if self._comm.size > 1:
            self._comm.abort(ABORT_STATUS, message)
        end_process(ABORT_STATUS, message)
