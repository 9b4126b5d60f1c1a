"""Supervision of a trial's lanes: starts them, waits for them, and polls the other ranks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future
from concurrent.futures import wait as wait_for_futures

from mlpstorage_bench.errors import CapacityError, MlpsError, PeerError, StorageError
from mlpstorage_bench.mpi.ranks import Notice, TrialSignals
from mlpstorage_bench.storage.io_threads import IoThreads
from mlpstorage_bench.storage.lane_waits import CutOffError

FAILURE = "failure"
"""Reason for a closed window: a lane has failed."""
_POLL_S = 0.01
"""Interval at which lanes and other ranks are polled."""


class TrialSupervisor:
    """Runs lanes on IO threads, and waits for them on the calling thread."""

    def __init__(
        self,
        threads: IoThreads,
        stopping: threading.Event,
        signals: TrialSignals,
        *,
        on_poll: Callable[[], None],
        remaining_s: Callable[[], float] = lambda: _POLL_S,
        stop_work: Callable[[], None] = lambda: None,
    ) -> None:
        self._io_threads = threads
        self._stopping = stopping
        """Shared with the lanes: once set, they end after the chunks that they have in flight."""
        self._signals = signals
        self._on_poll = on_poll
        """Called on the waiting thread each time that the lanes are polled."""
        self._remaining_s = remaining_s
        """Returns the seconds until the window closes: it is polled then at the latest."""
        self._stop_work = stop_work
        """Ends the waits of lanes for more work."""

    def start(self, works: Sequence[Callable[[], None]]) -> list[Future[None]]:
        """Run one function on each lane."""
        return self._io_threads.start(works)

    def wait(self, futures: Sequence[Future[None]], ended: Callable[[], str | None]) -> str:
        """Wait until `ended` returns a reason, and return it; FAILURE if a lane fails.

        PeerError if another rank fails.
        """
        while True:
            if any(future.done() and future.exception() for future in futures):
                return FAILURE
            self._on_poll()
            reason = ended()
            if reason is not None:
                return reason
            pause_s = min(_POLL_S, self._remaining_s())
            working = [future for future in futures if not future.done()]
            wait_for_futures(working, timeout=pause_s, return_when=FIRST_EXCEPTION)
            if not working:
                time.sleep(pause_s)
            self._signals.raise_deferred()
            failed = self._signals.poll(Notice.FAILED)
            if failed:
                raise PeerError(f"rank {', '.join(map(str, failed))} failed during this trial")

    def wait_or_raise(
        self, futures: Sequence[Future[None]], ended: Callable[[], str | None]
    ) -> None:
        """Wait outside of the window; raise the failure of a lane."""
        if self.wait(futures, ended) == FAILURE:
            self.stop()
            wait_for_futures(futures)
            failure = failure_of(futures)
            assert failure is not None
            raise failure

    def stop(self) -> None:
        """End every lane after the chunks that it has in flight."""
        self._stopping.set()
        self._stop_work()
        self._io_threads.resume_all()

    def join(self) -> None:
        """Stop the lanes and wait for them: they use queues, buffers and the cache until then."""
        self.stop()
        self._io_threads.join()


def failure_of(futures: Sequence[Future[None]]) -> MlpsError | None:
    """Return the error of the first lane that failed, with the errors of others as notes.

    Errors other than StorageError and CapacityError are raised. Lanes that were cut off have not
    failed.
    """
    failures: list[StorageError | CapacityError] = []
    for error in [future.exception() for future in futures]:
        if isinstance(error, StorageError | CapacityError):
            failures.append(error)
        elif error is not None and not isinstance(error, CutOffError):
            raise error
    for other in failures[1:]:
        failures[0].add_note(f"on another lane: {other}")
    return failures[0] if failures else None
