"""Watching a launcher and the ranks of its host, and ending it when it should have ended by itself.

Launchers do not always notice that a rank has died, or end when their ranks have. A rank that only
takes its time is never taken for a dead one: what begins a time limit here is a process that is
gone, or a rank's own word.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from itertools import takewhile

from mlpstorage_bench.launch.status_channel import StatusReader
from mlpstorage_bench.launch.stderr_filter import write
from mlpstorage_bench.process.exits import ExitWatcher
from mlpstorage_bench.process.signals import StopSignals

INTERRUPTED = 2
"""pytest's exit status after Ctrl-C."""
TOO_LONG = "a test has taken longer than its limit"
_TERMINATE_GRACE_S = 5.0
_LOOK_S = 1.0
"""How often the parent looks for status lines; that a process ended it learns at once."""
_LAUNCHER = -1
"""The launcher's place among the ranks that are watched."""


@dataclass(frozen=True)
class Limits:
    """How long the parent waits for what; seconds."""

    grace_s: float
    """For a launcher to end after a rank has died or has aborted all, or after Ctrl-C."""
    end_s: float = 10.0
    """For ranks and launcher to end after the session has: nothing has failed then."""
    startup_s: float | None = None
    """For ranks to come together in MPI, which they limit themselves once they have started."""
    test_s: float | None = None
    """Longest time for a test, the ranks' own end of it included; None for no limit."""
    between_s: float | None = None
    """Longest time before, between and after tests; None for no limit."""

    @property
    def terminate_s(self) -> float:
        """For a launcher to end that has been sent SIGTERM."""
        return min(_TERMINATE_GRACE_S, self.grace_s)


class LaunchMonitor:
    """Waits for a launcher, and ends it when it should have ended by itself."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        status_reader: StatusReader,
        limits: Limits,
        requests: StopSignals,
        *,
        may_queue: bool = False,
    ) -> None:
        self._child = child
        self._status_reader = status_reader
        self._limits = limits
        self._requests = requests
        self._exits = ExitWatcher(requests.event)
        self._known: set[int] = set()
        self._started_s = None if may_queue else time.monotonic()
        """Since when ranks are to come together: where launches queue, since one is there."""
        self.reason = ""
        """Why the launcher should have ended, where the session's own end is not why."""
        self.was_interrupted = False
        self.gave_up = False
        """Whether a limit was over in which the ranks had to say something."""

    def wait(self) -> int:
        """Return the launcher's exit status, as a shell knows it."""
        self._exits.watch(_LAUNCHER, self._child.pid)
        try:
            self._wait_for_end()
            if self._requests.is_requested and self._child.poll() is None:
                self.was_interrupted = True
                self._stop()
                return INTERRUPTED
            self._exits.wait(0)
            self._look()
        finally:
            if self._child.poll() is None:
                _signal_group(self._child, signal.SIGKILL)
                self._child.wait()
            self._exits.close()
        code = self._child.returncode
        return code if code >= 0 else 128 - code

    def _wait_for_end(self) -> None:
        """Return when the launcher has ended, or this process is asked to stop."""
        deadline: float | None = None
        while self._child.poll() is None and not self._requests.is_requested:
            self._look()
            if deadline is None and self._is_over():
                has_ended = self._status_reader.read("completed") is not None
                patience_s = self._limits.end_s if has_ended else self._limits.grace_s
                deadline = time.monotonic() + patience_s
            if deadline is not None and time.monotonic() >= deadline:
                self._end_launcher()
                return
            if self._is_late() or self._is_silent():
                self.gave_up = True
                self._end_launcher()
                return
            left_s = _LOOK_S if deadline is None else deadline - time.monotonic()
            self._exits.wait(min(_LOOK_S, max(left_s, 0.0)))

    def _look(self) -> None:
        """Learn of the ranks that have arrived, and of those that left without a word."""
        here = self._status_reader.ranks_here()
        for rank in here.keys() - self._known:
            self._known.add(rank)
            self._exits.watch(rank, here[rank])
        before_launcher = takewhile(lambda died: died != (_LAUNCHER,), self._exits.take_exits())
        there = self._status_reader.ranks_here()  # those that have ended and have not departed
        died = [[rank for rank in ranks if rank in there] for ranks in before_launcher]
        if self.reason or self._status_reader.read("aborting") is not None:
            return
        elsewhere = next(iter(self._status_reader.dead_elsewhere()), None)
        first = next(filter(None, died), None)
        if (elsewhere is not None or first is not None) and self._status_reader.silent_at_limit():
            self.gave_up, self.reason = True, TOO_LONG
        elif elsewhere is not None:  # what died here at the same time was ended by the launcher
            self.reason = f"{elsewhere} died before the session's end"
        elif first is not None:
            ranks = f"rank{'s' if len(first) > 1 else ''} {', '.join(map(str, sorted(first)))}"
            self.reason = f"{ranks} on {os.uname().nodename} died before the session's end"

    def _is_over(self) -> bool:
        """Whether the launcher has no reason to go on."""
        told = (
            self._status_reader.read("completed") is not None
            or self._status_reader.read("aborting") is not None
        )
        return told or bool(self.reason)

    def _is_late(self) -> bool:
        """Whether ranks have not come together in MPI within their time."""
        limit_s = self._limits.startup_s
        if limit_s is None or self._status_reader.read("joined") is not None:
            return False
        if self._started_s is None and self._status_reader.came_from():
            self._started_s = time.monotonic()
        if self._started_s is None or time.monotonic() - self._started_s <= limit_s:
            return False
        self.reason = f"the ranks did not come together in MPI within {limit_s:g} s"
        return True

    def _is_silent(self) -> bool:
        """Whether nothing has begun or ended for longer than any test may take."""
        test = self._status_reader.read("alive")
        limit_s = self._limits.test_s if test else self._limits.between_s
        if limit_s is None or self._status_reader.silent_for_s() <= limit_s:
            return False
        where = f"in {test}" if test else "outside of tests"
        self.reason = f"nothing was heard of the ranks for {limit_s:g} s, {where}"
        return True

    def _end_launcher(self) -> None:
        why = self.reason or "the session is over"
        write(f"mlpstorage: the launcher does not end, although {why}: it is killed\n".encode())
        _signal_group(self._child, signal.SIGTERM)
        try:
            self._child.wait(self._limits.terminate_s)
        except subprocess.TimeoutExpired:
            _signal_group(self._child, signal.SIGKILL)
            self._child.wait()

    def _stop(self) -> None:
        """Let the ranks finish their reports within their grace, then end them."""
        self._child.send_signal(signal.SIGUSR1)
        for insisted, (patience_s, stronger) in enumerate(
            (
                (self._limits.grace_s, signal.SIGTERM),
                (self._limits.terminate_s, signal.SIGKILL),
            )
        ):
            if self._ends_within(patience_s, insisted):
                return
            _signal_group(self._child, stronger)
        self._child.wait()

    def _ends_within(self, seconds: float, insisted: int) -> bool:
        """Wait for the launcher's end for so long, or until Ctrl-C has come again more often."""
        deadline = time.monotonic() + seconds
        while self._child.poll() is None:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or self._requests.insisted > insisted:
                return False
            self._exits.wait(left_s)
        return True


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return  # it ended meanwhile
