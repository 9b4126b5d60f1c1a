"""Being the parent of launched ranks: their output, their end, and what may be left of them.

Launchers do not always notice that a rank has died, or end when their ranks have. So the parent
watches the ranks of its own host itself, knows from their dispatches how the session went, and ends
a launcher that outlives it. A rank that only takes its time is never taken for a dead one: what
begins the parent's time limit is a process that is gone, or a rank's own word.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import IO

from mlpstorage_bench import survivor
from mlpstorage_bench.mpi.comm import ABORT_STATUS
from mlpstorage_bench.mpi.deaths import Deaths
from mlpstorage_bench.mpi.dispatches import (
    DIRECTORY_VARIABLE,
    HOST_VARIABLE,
    WORD_VARIABLE,
    Inbox,
    this_host,
)
from mlpstorage_bench.mpi.launch import COMMAND_VARIABLE, LAUNCHER_VARIABLE, LaunchPlan
from mlpstorage_bench.mpi.stop_requests import StopRequests

INTERRUPTED = 2
"""pytest's exit status after Ctrl-C."""
INCOMPLETE = 1
TERMINATE_GRACE_S = 5.0
_LOOK_S = 1.0
"""How often the parent looks for dispatches; that a process ended it learns at once."""
_LAUNCHER = -1
"""The launcher's place among the ranks that are watched."""
_TOO_LONG = "a test has taken longer than its limit"
_MEANINGLESS = frozenset({0, 5})
"""Statuses that mean something good, which a launcher may return for ranks that died.

MPICH returns the bitwise or of its ranks' statuses: 1 and 4 make 5, `no tests`.
"""


@dataclass(frozen=True)
class Limits:
    """How long the parent waits for what; seconds."""

    grace_s: float
    """For a launcher to end after a rank has died or has aborted all, or after Ctrl-C."""
    end_s: float = 10.0
    """For ranks and launcher to end after the session has: nothing has failed then."""
    test_s: float | None = None
    """Longest time for a test, the ranks' own end of it included; None for no limit."""
    between_s: float | None = None
    """Longest time before, between and after tests; None for no limit."""

    @property
    def terminate_s(self) -> float:
        """For a launcher to end that has been sent SIGTERM."""
        return min(TERMINATE_GRACE_S, self.grace_s)


@dataclass(frozen=True)
class Ending:
    """How a launched session ended."""

    status: int
    reason: str = ""
    """Why the session did not come to its end; '' when it did."""
    run_metadata: Path | None = None
    """The metadata of the run that it had opened, on this host."""


def run(plan: LaunchPlan, limits: Limits) -> Ending:
    """Run the ranks to their end, and leave no process of theirs on this host.

    Their output is ours: they inherit standard output and error. Ctrl-C, SIGTERM and SIGHUP are
    passed on once, as SIGUSR1, which Open MPI and MPICH forward to every rank; SIGTERM and SIGKILL
    follow when the ranks do not end within their grace, or Ctrl-C comes again. Should this process
    be killed, a survivor ends the ranks. Rank 0's word counts for the exit status; without it the
    session has failed, whatever the launcher says.
    """
    word = f"mlps-{secrets.token_hex(12)}"
    mark = f"{WORD_VARIABLE}={word}"
    with (
        StopRequests() as requests,
        tempfile.TemporaryDirectory(prefix="mlps-launch-") as directory,
    ):
        inbox = Inbox(Path(directory), word)
        environment = {
            **os.environ,
            COMMAND_VARIABLE: json.dumps(plan.command),
            DIRECTORY_VARIABLE: directory,
            HOST_VARIABLE: this_host(),
            WORD_VARIABLE: word,
            LAUNCHER_VARIABLE: plan.launcher,
        }
        sys.stdout.flush()
        child = subprocess.Popen(  # noqa: S603 - an argument vector that we put together
            plan.argument_vector,
            stdin=subprocess.DEVNULL,
            stderr=None if plan.all_hosts_are_here else subprocess.PIPE,
            env=environment,
            process_group=0,
        )
        outliving = survivor.hire("end", str(child.pid), mark, directory)
        with _passing_on(child.stderr, inbox):
            watch = _Watch(child, inbox, limits, requests)
            status = watch.wait()
            survivor.clear_away(mark)
        survivor.dismiss(outliving)
        return _ending(plan, inbox, status, watch)


def _ending(plan: LaunchPlan, inbox: Inbox, status: int, watch: _Watch) -> Ending:
    """Decide what the session's status is, and say why it did not come to its end if so."""
    metadata = inbox.read("run")
    path = Path(metadata) if metadata else None
    completed = inbox.read("completed")
    own = int(completed or 0)
    if own or (completed is not None and not watch.reason):
        is_true = status not in _MEANINGLESS or (bool(completed) and status == 0)
        return Ending(own or (status if is_true else INCOMPLETE), run_metadata=path)
    status, reason = _failure(inbox, status, watch)
    if inbox.read("joined") is None:
        asked = ", ".join(host.name for host in plan.layout.hosts)
        came = ", ".join(inbox.came_from()) or "none"
        reason = f"{reason}; hosts asked: {asked}; ranks came from: {came}"
    if status in _MEANINGLESS:
        said = "the launcher reports success, but " if status == 0 else ""
        reason, status = f"{said}{reason}", INCOMPLETE
    silent = inbox.silent_at_limit()
    if silent:
        reason = f"{reason}; nothing was heard of {', '.join(silent)}"
    _write(f"mlpstorage: {reason}. Launched: {plan.shell_line()}\n".encode())
    return Ending(status, reason, path)


def _failure(inbox: Inbox, status: int, watch: _Watch) -> tuple[int, str]:
    """Return the status of a session that failed without rank 0's word for it, and why it did."""
    aborting, reason = inbox.read("aborting"), watch.reason
    if inbox.read("completed") is not None:
        pass  # a rank died later, and the launcher's status is of that
    elif aborting is not None:
        code, _, reason = aborting.partition(" ")
        status = int(code)
    elif status == INTERRUPTED and watch.was_interrupted:
        reason = "it was interrupted, and the ranks did not end by themselves"
    elif inbox.read("joined") is None and inbox.came_from():
        status, reason = ABORT_STATUS, "the ranks did not come together in MPI"
    elif watch.was_silent:
        status = ABORT_STATUS
    elif reason:
        elsewhere = inbox.first_dead_elsewhere()  # its word may be later than what it led to here
        if elsewhere is not None and elsewhere not in reason:
            reason = f"{reason}; so did {elsewhere}, which may have been the first"
    elif inbox.silent_at_limit():
        status, reason = ABORT_STATUS, _TOO_LONG
    else:
        reason = "rank 0 did not come to its end (no completion record)"
    return status, reason


class _Watch:
    """Waits for a launcher, and ends it when it should have ended by itself."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        inbox: Inbox,
        limits: Limits,
        requests: StopRequests,
    ) -> None:
        self._child = child
        self._inbox = inbox
        self._limits = limits
        self._requests = requests
        self._deaths = Deaths(requests.event)
        self._known: set[int] = set()
        self.reason = ""
        """Why the launcher should have ended, where the session's own end is not why."""
        self.was_interrupted = False
        self.was_silent = False

    def wait(self) -> int:
        """Return the launcher's exit status, as a shell knows it."""
        self._deaths.watch(_LAUNCHER, self._child.pid)
        try:
            self._wait_for_end()
            if self._requests.is_asked and self._child.poll() is None:
                self.was_interrupted = True
                self._stop()
                return INTERRUPTED
            self._deaths.wait(0)
            self._look()
        finally:
            if self._child.poll() is None:
                _signal_group(self._child, signal.SIGKILL)
                self._child.wait()
            self._deaths.close()
        code = self._child.returncode
        return code if code >= 0 else 128 - code

    def _wait_for_end(self) -> None:
        """Return when the launcher has ended, or this process is asked to stop."""
        deadline: float | None = None
        while self._child.poll() is None and not self._requests.is_asked:
            self._look()
            if deadline is None and self._is_over():
                has_ended = self._inbox.read("completed") is not None
                patience_s = self._limits.end_s if has_ended else self._limits.grace_s
                deadline = time.monotonic() + patience_s
            if deadline is not None and time.monotonic() >= deadline:
                self._end_launcher()
                return
            if self._is_silent():
                self.was_silent = True
                self._end_launcher()
                return
            left_s = _LOOK_S if deadline is None else deadline - time.monotonic()
            self._deaths.wait(min(_LOOK_S, max(left_s, 0.0)))

    def _look(self) -> None:
        """Learn of the ranks that have arrived, and of those that left without a word."""
        here = self._inbox.ranks_here()
        for rank in here.keys() - self._known:
            self._known.add(rank)
            self._deaths.watch(rank, here[rank])
        before_launcher = takewhile(lambda died: died != (_LAUNCHER,), self._deaths.take())
        died = [[rank for rank in ranks if rank in here] for ranks in before_launcher]
        if self.reason or self._inbox.read("aborting") is not None:
            return
        elsewhere = self._inbox.first_dead_elsewhere()
        first = next(filter(None, died), None)
        if (elsewhere is not None or first is not None) and self._inbox.silent_at_limit():
            self.was_silent, self.reason = True, _TOO_LONG
        elif elsewhere is not None:  # what died here at the same time was ended by the launcher
            self.reason = f"{elsewhere} died before the session's end"
        elif first is not None:
            ranks = f"rank{'s' if len(first) > 1 else ''} {', '.join(map(str, sorted(first)))}"
            self.reason = f"{ranks} on {os.uname().nodename} died before the session's end"

    def _is_over(self) -> bool:
        """Whether the launcher has no reason to go on."""
        told = self._inbox.read("completed") is not None or self._inbox.read("aborting") is not None
        return told or bool(self.reason)

    def _is_silent(self) -> bool:
        """Whether nothing has begun or ended for longer than any test may take."""
        test = self._inbox.read("alive")
        limit_s = self._limits.test_s if test else self._limits.between_s
        if limit_s is None or self._inbox.silent_for_s() <= limit_s:
            return False
        where = f"in {test}" if test else "outside of tests"
        self.reason = f"nothing was heard of the ranks for {limit_s:g} s, {where}"
        return True

    def _end_launcher(self) -> None:
        why = self.reason or "the session is over"
        _write(f"mlpstorage: the launcher does not end, although {why}: it is killed\n".encode())
        _signal_group(self._child, signal.SIGTERM)
        try:
            self._child.wait(self._limits.terminate_s)
        except subprocess.TimeoutExpired:
            _signal_group(self._child, signal.SIGKILL)
            self._child.wait()

    def _stop(self) -> None:
        """Let the ranks finish their reports within their grace, then end them."""
        self._child.send_signal(signal.SIGUSR1)
        for patience_s, stronger in (
            (self._limits.grace_s, signal.SIGTERM),
            (self._limits.terminate_s, signal.SIGKILL),
        ):
            if self._ends_within(patience_s):
                return
            _signal_group(self._child, stronger)
        self._child.wait()

    def _ends_within(self, seconds: float) -> bool:
        """Wait for the launcher's end for so long, or until Ctrl-C comes again."""
        deadline = time.monotonic() + seconds
        insisted = self._requests.insisted
        while self._child.poll() is None:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or self._requests.insisted > insisted:
                return False
            self._deaths.wait(left_s)
        return True


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return  # it ended meanwhile


@contextmanager
def _passing_on(source: IO[bytes] | None, inbox: Inbox) -> Iterator[None]:
    """Pass on what arrives on the ranks' standard error, without the dispatches in it."""
    if source is None:
        yield
        return

    def pass_on() -> None:
        with source:
            while part := os.read(source.fileno(), 65536):
                _write(inbox.sift(part))
        _write(inbox.sift(b"\n")[:-1])

    thread = threading.Thread(target=pass_on, daemon=True)
    thread.start()
    yield
    thread.join(TERMINATE_GRACE_S)  # a process elsewhere may still hold the other end


def _write(data: bytes) -> None:
    """Write to standard error; nothing where nobody reads it any more, as after a hang-up."""
    while data:
        try:
            data = data[os.write(2, data) :]
        except BlockingIOError:
            select.select([], [2], [])
        except OSError:
            return
