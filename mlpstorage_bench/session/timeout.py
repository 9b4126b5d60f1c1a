"""The time limit of a test, or of a step beside tests, on all ranks: where each is, and the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mlpstorage_bench.launch.status_channel import StatusChannel
from mlpstorage_bench.mpi.comm import Comm
from mlpstorage_bench.mpi.watchdog import Watchdog, end_process, stacks, turn_s
from mlpstorage_bench.process.stderr import ABORT_STATUS, say


class TimeLimit:
    """Watches a session's steps, where they have a limit, and ends it when one exceeds that."""

    def __init__(
        self,
        limit_s: float | None,
        grace_s: float,
        comm: Comm,
        host: str,
        parent: StatusChannel | None,
        leave_last_words: Callable[[str, float], None],
    ) -> None:
        self._limit_s = limit_s
        self._grace_s = grace_s
        self._comm = comm
        self._host = host
        self._parent = parent
        self._leave_last_words = leave_last_words
        """Writes what is known of the run and why it ends, within so many seconds."""
        self._watchdog = None if limit_s is None else Watchdog(limit_s, grace_s, self._expired)

    @contextmanager
    def guard_test(self, step: str) -> Iterator[None]:
        """Limit the time of what is done inside, and let the parent know that it is at it."""
        if self._watchdog is None:
            yield
            return
        self._tell_alive(step)
        with self._watchdog.guard_test(step):
            yield
        self._tell_alive("")

    def _tell_alive(self, step: str) -> None:
        if self._parent is not None and self._comm.rank == 0:
            self._parent.send("step", step)

    def _expired(self, step: str) -> None:
        """End the session on all ranks, from the watchdog's thread, after every rank's stacks."""
        rank, place = self._comm.rank, self._comm.waits_at
        headline = f"{step} has taken longer than --mlps-timeout {self._limit_s:g} s"
        here = f"waits for the others at {place!r}" if place else "does not wait for the others"
        say(f"\nmlpstorage: {headline}. Rank {rank} on {self._host} {here}:\n\n{stacks()}")
        if self._parent is not None:
            self._parent.report_limit(rank)
        least_s, most_s = turn_s(rank, self._comm.size, self._grace_s)
        began_s = time.monotonic()
        self._leave_last_words(headline, most_s)
        time.sleep(max(0.0, began_s + least_s - time.monotonic()))
        message = f"mlpstorage: {headline}. All ranks are aborted."
        if self._comm.size > 1:
            self._comm.abort(ABORT_STATUS, message)
        end_process(ABORT_STATUS, message)
