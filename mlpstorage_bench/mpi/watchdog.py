"""Time limit of a test: print where each rank is, and end the session.

A separate thread measures the time, so that a rank that waits inside MPI is covered. Code that
never releases Python's lock blocks that thread: then faulthandler's thread, which needs no lock,
prints the stacks, and a kernel timer ends the process if no other rank has done so.
"""

from __future__ import annotations

import faulthandler
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from mlpstorage_bench.process.stderr import descriptor, say

_RUNNERS = frozenset({"_pytest", "pluggy"})
Expired = Callable[[str], None]


class Watchdog:
    """Watches one task after the other; calls `expired` with the task's name in its own thread."""

    def __init__(self, limit_s: float, grace_s: float, expired: Expired) -> None:
        self._limit_s = limit_s
        self._grace_s = grace_s
        self._expired = expired
        self._task: tuple[str, float] | None = None
        """Name and deadline of the current task."""
        self._tasks: queue.SimpleQueue[tuple[str, float] | None] = queue.SimpleQueue()
        """Each new task, and each new deadline of one; None when a task ends.

        A queue instead of a lock: Ctrl-C could arrive just after the main thread has taken a lock.
        """
        threading.Thread(target=self._watch, name="mlpstorage watchdog", daemon=True).start()

    @contextmanager
    def guard_test(self, name: str) -> Iterator[None]:
        """Limit the time of the code inside."""
        self._set_deadline(name, time.monotonic() + self._limit_s)
        try:
            yield
        finally:
            _set_alarm(0.0)
            faulthandler.cancel_dump_traceback_later()
            self._task = None
            self._tasks.put(None)

    def extend(self, seconds: float) -> None:
        """Give the current task more time, by so many seconds; without a task, do nothing."""
        if self._task is not None:
            name, deadline_s = self._task
            self._set_deadline(name, deadline_s + seconds)

    def _set_deadline(self, name: str, deadline_s: float) -> None:
        self._task = (name, deadline_s)
        self._tasks.put(self._task)
        left_s = max(0.0, deadline_s - time.monotonic())
        faulthandler.dump_traceback_later(left_s + _settle_s(self._grace_s), file=descriptor())
        _set_alarm(left_s + 2 * self._grace_s)

    def _watch(self) -> None:
        work = self._tasks.get()
        with suppress(queue.Empty):
            while True:
                left_s = None if work is None else max(0.0, work[1] - time.monotonic())
                work = self._tasks.get(timeout=left_s)
        assert work is not None
        name, _ = work
        faulthandler.cancel_dump_traceback_later()  # this thread runs, and reports more
        _set_alarm(2 * self._grace_s)  # in case the abort has no effect
        self._expired(name)


def _set_alarm(seconds: float) -> None:
    """Let the kernel kill this process after the seconds (0: never), unless SIGALRM is in use."""
    if signal.getsignal(signal.SIGALRM) is signal.SIG_DFL:
        signal.setitimer(signal.ITIMER_REAL, seconds)


def limit_process(limit_s: float) -> None:
    """Print the stacks and end the process (status 1) after that time, until `unlimit_process`.

    Used where a watchdog cannot run: MPI_Init holds Python's lock, and threads end before exit.
    """
    faulthandler.dump_traceback_later(limit_s, exit=True, file=descriptor())


def unlimit_process() -> None:
    """Remove the limit of `limit_process`."""
    faulthandler.cancel_dump_traceback_later()


def stacks() -> str:
    """Return the stacks of all threads except the calling one, the main thread first.

    Frames of pytest and pluggy are left out.
    """
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    main, own = threading.main_thread().ident, threading.get_ident()
    frames = sorted(sys._current_frames().items(), key=lambda item: item[0] != main)  # noqa: SLF001 - documented
    return "".join(
        f"Thread {names.get(ident, ident)}:\n{''.join(_format_frames(frame))}"
        for ident, frame in frames
        if ident != own
    )


def _format_frames(frame: FrameType) -> list[str]:
    frames = traceback.extract_stack(frame)
    own = [one for one in frames if not _RUNNERS.intersection(Path(one.filename).parts)]
    return traceback.format_list(own or frames)


def try_for(seconds: float, action: Callable[[], object]) -> None:
    """Run an action in a thread with a limit in seconds, because a disk may hang."""
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join(seconds)


def turn_s(rank: int, size: int, grace_s: float) -> tuple[float, float]:
    """Return the shortest and the longest time that a rank waits before it aborts all ranks.

    The shortest lets every rank print its stacks; the longest is for rank 0 to write its results.
    Ranks differ: some launchers crash when several ranks abort at the same moment.
    """
    if rank == 0:
        return 2 * _settle_s(grace_s), grace_s / 2
    turn = grace_s / 2 * (1 + rank / size)
    return turn, turn


def _settle_s(grace_s: float) -> float:
    return min(0.5, grace_s / 4)


def end_process(status: int, message: str) -> None:
    """End this process from any thread."""
    say(message)
    os._exit(status)
