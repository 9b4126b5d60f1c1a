"""Watch a launcher and the ranks on its host, and end the launcher when it does not end itself.

Launchers do not always notice that a rank has died, or end when their ranks have ended. A slow rank
is never treated as dead: a time limit starts at the exit of a process, or at a rank's status.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from itertools import takewhile

from mlpstorage_bench.launch.forwarding import write
from mlpstorage_bench.launch.status_channel import StatusReader
from mlpstorage_bench.process.exits import ExitWatcher
from mlpstorage_bench.process.signals import StopSignals

INTERRUPTED = 2
"""pytest's exit status after Ctrl-C."""
TOO_LONG = "a test has taken longer than its limit"
_TERMINATE_GRACE_S = 5.0
_KILL_S = 10.0
"""Time for the kernel to end a killed launcher, in seconds."""
_POLL_S = 1.0
"""Interval at which the parent reads status lines; exits of processes wake it at once."""
_LAUNCHER = -1
"""Number of the launcher among the watched ranks."""


@dataclass(frozen=True)
class Limits:
    """Time limits of the parent, in seconds."""

    grace_s: float
    """Time for a launcher to end after a rank's death, an aborted session or Ctrl-C."""
    end_s: float = 10.0
    """Time for ranks and launcher to end after a completed session."""
    startup_s: float | None = None
    """Time for ranks to connect through MPI; started ranks apply the same limit themselves."""
    test_s: float | None = None
    """Time for a test, including the ranks' own handling of the limit; None for no limit."""
    between_s: float | None = None
    """Time for the steps before, between and after tests; None for no limit."""

    @property
    def terminate_s(self) -> float:
        """Time for a launcher to end after SIGTERM."""
        return min(_TERMINATE_GRACE_S, self.grace_s)


class LaunchMonitor:
    """Waits for a launcher, and ends it when it does not end itself."""

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
        """Start of the startup limit; where launches queue, when the first rank registers."""
        self.reason = ""
        """Why the session failed, as far as the parent knows; '' if it does not."""
        self.launcher_was_killed = False
        self.was_interrupted = False
        self.limit_exceeded = False
        """Whether the ranks exceeded a limit of the parent's."""

    def wait(self) -> int:
        """Return the launcher's exit status as a shell does: 128 + N for signal N."""
        self._exits.watch(_LAUNCHER, self._child.pid)
        try:
            self._wait_for_end()
            if self._requests.is_requested and self._child.poll() is None:
                self.was_interrupted = True
                self._stop()
                return INTERRUPTED
            self._exits.wait(0)
            self._update()
        finally:
            if self._child.poll() is None:
                self._kill()
            self._exits.close()
        code = self._status()
        self.launcher_was_killed = code == -signal.SIGKILL
        return code if code >= 0 else 128 - code

    def _wait_for_end(self) -> None:
        """Wait until the launcher has ended, or this process has to stop."""
        deadline: float | None = None
        while self._child.poll() is None and not self._requests.is_requested:
            self._update()
            if deadline is None and self._should_end():
                has_completed = self._status_reader.read("completed") is not None
                timeout_s = self._limits.end_s if has_completed else self._limits.grace_s
                deadline = time.monotonic() + timeout_s
            if deadline is not None and time.monotonic() >= deadline:
                self._end_launcher()
                return
            if self._exceeds_startup_limit() or self._exceeds_step_limit():
                self.limit_exceeded = True
                self._end_launcher()
                return
            left_s = _POLL_S if deadline is None else deadline - time.monotonic()
            self._exits.wait(min(_POLL_S, max(left_s, 0.0)))

    def _update(self) -> None:
        """Watch newly registered ranks, and record the first that died."""
        local = self._status_reader.local_processes()
        for rank in local.keys() - self._known:
            self._known.add(rank)
            self._exits.watch(rank, local[rank])
        before_launcher = takewhile(lambda exited: exited != (_LAUNCHER,), self._exits.take_exits())
        registered = self._status_reader.local_processes().keys()  # ranks that end unregister
        stopped = self._status_reader.stopped_ranks()
        died = [
            [rank for rank in ranks if rank in registered - stopped] for ranks in before_launcher
        ]
        if self.reason or self._status_reader.read("aborting") is not None:
            return
        elsewhere = next(iter(self._status_reader.exited_elsewhere()), None)
        first = next(filter(None, died), None)
        if (elsewhere is not None or first is not None) and self._status_reader.missing_at_limit():
            self.limit_exceeded, self.reason = True, TOO_LONG
        elif elsewhere is not None:  # the launcher then ended the ranks on this host
            self.reason = f"{elsewhere} died before the session's end"
        elif first is not None:
            ranks = f"rank{'s' if len(first) > 1 else ''} {', '.join(map(str, sorted(first)))}"
            self.reason = f"{ranks} on {os.uname().nodename} died before the session's end"

    def _should_end(self) -> bool:
        """Return whether the launcher should end now."""
        is_reported = (
            self._status_reader.read("completed") is not None
            or self._status_reader.read("aborting") is not None
        )
        return is_reported or bool(self.reason)

    def _exceeds_startup_limit(self) -> bool:
        """Return whether the ranks have not connected through MPI within the startup limit."""
        limit_s = self._limits.startup_s
        if limit_s is None or self._status_reader.read("joined") is not None:
            return False
        if self._started_s is None and self._status_reader.registered_hosts():
            self._started_s = time.monotonic()
        if self._started_s is None or time.monotonic() - self._started_s <= limit_s:
            return False
        self.reason = f"the ranks did not connect through MPI within {limit_s:g} s"
        return True

    def _exceeds_step_limit(self) -> bool:
        """Return whether no step has started or ended for longer than the limit."""
        test = self._status_reader.read("step")
        limit_s = self._limits.test_s if test else self._limits.between_s
        if limit_s is None or self._status_reader.seconds_since_status() <= limit_s:
            return False
        where = f"in {test}" if test else "outside of tests"
        self.reason = f"no status from the ranks for {limit_s:g} s, {where}"
        return True

    def _end_launcher(self) -> None:
        why = self.reason or "the session is over"
        write(f"mlpstorage: the launcher does not end although {why}; it is killed\n".encode())
        _signal_group(self._child, signal.SIGTERM)
        try:
            self._child.wait(self._limits.terminate_s)
        except subprocess.TimeoutExpired:
            self._kill()

    def _kill(self) -> None:
        """Kill the launcher's process group; a process that the kernel cannot end is left."""
        _signal_group(self._child, signal.SIGKILL)
        try:
            self._child.wait(_KILL_S)
        except subprocess.TimeoutExpired:
            line = (
                f"mlpstorage: the launcher (process {self._child.pid}) does not end although "
                "it was killed (SIGKILL): it waits in the kernel for storage\n"
            )
            write(line.encode())

    def _status(self) -> int:
        """Return the launcher's status; that of a killed one if the kernel has not ended it."""
        code = self._child.poll()
        return -signal.SIGKILL if code is None else code

    def _stop(self) -> None:
        """Let the ranks finish their reports within the grace, then end them."""
        self._child.send_signal(signal.SIGUSR1)
        for interrupts, (timeout_s, stronger) in enumerate(
            (
                (self._limits.grace_s, signal.SIGTERM),
                (self._limits.terminate_s, signal.SIGKILL),
            )
        ):
            if self._ends_within(timeout_s, interrupts):
                return
            if stronger == signal.SIGKILL:
                self._kill()
            else:
                _signal_group(self._child, stronger)

    def _ends_within(self, seconds: float, interrupts: int) -> bool:
        """Wait for the launcher's end until the time is over, or Ctrl-C has come more often."""
        deadline = time.monotonic() + seconds
        while self._child.poll() is None:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or self._requests.repeated_interrupts > interrupts:
                return False
            self._exits.wait(left_s)
        return True


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return  # it ended meanwhile
