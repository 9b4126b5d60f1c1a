"""The supervisor of a trial's lanes: has them work, waits for them, and sees to the other ranks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for_futures

from mlpstorage_bench.errors import CapacityError, MlpsError, PeerError, StorageError
from mlpstorage_bench.kvcache.results.rank_trial import FAILURE
from mlpstorage_bench.kvcache.runner.worker_pool import WorkerPool
from mlpstorage_bench.mpi.ranks import Notice, TrialSignals
from mlpstorage_bench.storage.lane import CutOffError

_POLL_S = 0.01
"""How often the supervisor looks at its lanes and the other ranks."""


class TrialSupervisor:
    """Has lanes work, each on a thread of its own, and waits for them on the calling one."""

    def __init__(
        self, lanes: int, pool: WorkerPool, stopping: threading.Event, signals: TrialSignals
    ) -> None:
        self._workers = pool
        self._stopping = stopping
        """The lanes' own: once set, they end after the chunk that they have in flight."""
        self._signals = signals
        self._executor = ThreadPoolExecutor(lanes, thread_name_prefix="lane")

    def start(self, works: Sequence[Callable[[], None]]) -> list[Future[None]]:
        """Have the lanes do this, one piece each."""
        return [self._executor.submit(work) for work in works]

    def wait(self, futures: Sequence[Future[None]], ended: Callable[[], str | None]) -> str:
        """Wait until `ended` gives a reason, which is returned, or a lane fails: FAILURE.

        Raises PeerError when another rank does.
        """
        while True:
            if any(future.done() and future.exception() for future in futures):
                return FAILURE
            reason = ended()
            if reason is not None:
                return reason
            pause_s = min(_POLL_S, self._workers.window.remaining_s)
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
        """Do so outside of the window, where the failure of a lane is raised."""
        if self.wait(futures, ended) == FAILURE:
            self.stop()
            wait_for_futures(futures)
            failure = failure_of(futures)
            assert failure is not None
            raise failure

    def stop(self) -> None:
        """Let every lane end after the chunk that it has in flight."""
        self._stopping.set()
        self._workers.scheduler.stop()

    def join(self) -> None:
        """Stop, and wait for what lanes do: queues, buffers and the cache are in use until then."""
        self.stop()
        self._executor.shutdown()


def failure_of(futures: Sequence[Future[None]]) -> MlpsError | None:
    """Return what the first of the lanes that failed met, with what others met as notes.

    What is no fault of the storage is raised; lanes that were cut off have not failed.
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
