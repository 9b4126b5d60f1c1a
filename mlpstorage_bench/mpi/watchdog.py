"""A limit for the time that a test takes: where a rank is when it is over, and the session's end.

A thread of its own keeps the time, so that a rank that waits inside MPI is seen, too. Code that
never gives up Python's lock would keep that thread from running: then faulthandler's thread, which
needs no lock, prints the stacks, and the kernel's timer ends the process if no other rank does so.
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

from mlpstorage_bench.process.stderr import STDERR, say

_RUNNERS = frozenset({"_pytest", "pluggy"})
Expired = Callable[[str], None]


class Watchdog:
    """Watches one piece of work after the other; `expired` is called with its name, in a thread."""

    def __init__(self, limit_s: float, grace_s: float, expired: Expired) -> None:
        self._limit_s = limit_s
        self._grace_s = grace_s
        self._expired = expired
        self._works: queue.SimpleQueue[tuple[str, float] | None] = queue.SimpleQueue()
        """The name of each, and when its time is over; None when there is none.

        Without a lock: Ctrl-C could come just after the main thread has taken it.
        """
        threading.Thread(target=self._watch, name="mlpstorage watchdog", daemon=True).start()

    @contextmanager
    def guard_test(self, name: str) -> Iterator[None]:
        """Limit the time of what is done inside."""
        self._works.put((name, time.monotonic() + self._limit_s))
        faulthandler.dump_traceback_later(self._limit_s + _settle_s(self._grace_s), file=STDERR)
        _set_alarm(self._limit_s + 2 * self._grace_s)
        try:
            yield
        finally:
            _set_alarm(0.0)
            faulthandler.cancel_dump_traceback_later()
            self._works.put(None)

    def _watch(self) -> None:
        work = self._works.get()
        with suppress(queue.Empty):
            while True:
                left_s = None if work is None else max(0.0, work[1] - time.monotonic())
                work = self._works.get(timeout=left_s)
        assert work is not None
        name, _ = work
        faulthandler.cancel_dump_traceback_later()  # this thread runs: it can tell more
        _set_alarm(2 * self._grace_s)  # for an end that does not come about, either
        self._expired(name)


def _set_alarm(seconds: float) -> None:
    """Let the kernel kill this process then (0: never), unless someone else uses the alarm."""
    if signal.getsignal(signal.SIGALRM) is signal.SIG_DFL:
        signal.setitimer(signal.ITIMER_REAL, seconds)


def limit_process(limit_s: float) -> None:
    """Print the stacks and end the process (status 1) after that time, unless it is unlimited.

    For where no watchdog is: MPI_Init keeps Python's lock, and at a process's end no thread runs.
    """
    faulthandler.dump_traceback_later(limit_s, exit=True, file=STDERR)


def unlimit_process() -> None:
    """Take that limit away."""
    faulthandler.cancel_dump_traceback_later()


def stacks() -> str:
    """Return where every thread of this process is, but the one that asks; the main one first.

    What lies between a test and the interpreter's start is left out.
    """
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    main, own = threading.main_thread().ident, threading.get_ident()
    frames = sorted(sys._current_frames().items(), key=lambda item: item[0] != main)  # noqa: SLF001 - documented
    return "".join(
        f"Thread {names.get(ident, ident)}:\n{''.join(_told(frame))}"
        for ident, frame in frames
        if ident != own
    )


def _told(frame: FrameType) -> list[str]:
    frames = traceback.extract_stack(frame)
    own = [one for one in frames if not _RUNNERS.intersection(Path(one.filename).parts)]
    return traceback.format_list(own or frames)


def try_for(seconds: float, action: Callable[[], object]) -> None:
    """Do something in a thread, and wait for it only so long: a disk that hangs ends nothing."""
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join(seconds)


def turn_s(rank: int, size: int, grace_s: float) -> tuple[float, float]:
    """Return how long a rank waits before it aborts all, at least and at most.

    At least, so that every rank has told its stacks; at most, for rank 0 to write what is known.
    Ranks take turns: a launcher may crash when several abort it at the same moment.
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
