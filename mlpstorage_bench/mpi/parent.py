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
from pathlib import Path
from typing import IO

import psutil

from mlpstorage_bench import survivor
from mlpstorage_bench.mpi.dispatches import DIRECTORY_VARIABLE, WORD_VARIABLE, Inbox
from mlpstorage_bench.mpi.launch import COMMAND_VARIABLE, LAUNCHER_VARIABLE, LaunchPlan

INTERRUPTED = 2
"""pytest's exit status after Ctrl-C."""
INCOMPLETE = 1
NOT_TOGETHER = SILENT = 86
"""Exit status of ranks that did not come together, or went silent, as of all that are aborted."""
INTERRUPT_GRACE_S = 20.0
"""After Ctrl-C the ranks may finish their reports for this long; then they are terminated."""
TERMINATE_GRACE_S = 5.0
_LOOK_S = 1.0
"""How often the parent looks for dispatches; that a process ended it learns at once."""
_SURVIVORS_S = 10.0
_MEANINGLESS = frozenset({0, 5})
"""Statuses that mean something good, which a launcher may return for ranks that died.

MPICH returns the bitwise or of its ranks' statuses: 1 and 4 make 5, `no tests`.
"""


@dataclass(frozen=True)
class Limits:
    """How long the parent waits for what; seconds."""

    grace_s: float
    """For a launcher to end after a rank has died, or has aborted all."""
    end_s: float = 10.0
    """For ranks and launcher to end after the session has: nothing has failed then."""
    test_s: float | None = None
    """Longest time for a test, the ranks' own end of it included; None for no limit."""
    between_s: float | None = None
    """Longest time before, between and after tests; None for no limit."""


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

    Their output is ours: they inherit standard output and error. Ctrl-C is passed on once, as
    SIGUSR1, which Open MPI and MPICH forward to every rank; SIGTERM and SIGKILL follow when the
    ranks do not end within their grace. Rank 0's word counts for the exit status; without it the
    session has failed, whatever the launcher says.
    """
    word = f"mlps-{secrets.token_hex(12)}"
    with tempfile.TemporaryDirectory(prefix="mlps-launch-") as directory:
        inbox = Inbox(Path(directory), word)
        environment = {
            **os.environ,
            COMMAND_VARIABLE: json.dumps(plan.command),
            DIRECTORY_VARIABLE: directory,
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
        with _passing_on(child.stderr, inbox):
            watch = _Watch(child, inbox, limits)
            status = watch.wait()
            _clear_away(word)
        return _ending(plan, inbox, status, watch)


def _ending(plan: LaunchPlan, inbox: Inbox, status: int, watch: _Watch) -> Ending:
    """Decide what the session's status is, and say why it did not come to its end if so."""
    metadata = inbox.read("run")
    path = Path(metadata) if metadata else None
    completed, aborting = inbox.read("completed"), inbox.read("aborting")
    if completed is not None:
        own = int(completed or 0)
        if own or not watch.reason:
            return Ending(own or status, run_metadata=path)
        reason = watch.reason
    elif aborting is not None:
        code, _, reason = aborting.partition(" ")
        status = int(code)
    elif status == INTERRUPTED and watch.was_interrupted:
        return Ending(
            INTERRUPTED, "it was interrupted, and the ranks did not end by themselves", path
        )
    elif inbox.read("joined") is None and watch.saw_ranks:
        status, reason = NOT_TOGETHER, "the ranks did not come together in MPI"
    elif watch.reason:
        reason = watch.reason
        status = SILENT if watch.was_silent else status
        elsewhere = inbox.first_dead_elsewhere()  # its word may be later than what it led to here
        if elsewhere is not None and elsewhere not in reason and not watch.was_silent:
            reason = f"{reason}; so did {elsewhere}, which may have been the first"
    else:
        reason = "rank 0 did not come to its end (no completion record)"
    if status in _MEANINGLESS:
        said = "the launcher reports success, but " if status == 0 else ""
        reason, status = f"{said}{reason}", INCOMPLETE
    silent = inbox.silent_at_limit()
    if silent:
        reason = f"{reason}; nothing was heard of {', '.join(silent)}"
    sys.stderr.write(f"mlpstorage: {reason}. Launched: {plan.shell_line()}\n")
    return Ending(status, reason, path)


class _Watch:
    """Waits for a launcher, and ends it when it should have ended by itself."""

    def __init__(self, child: subprocess.Popen[bytes], inbox: Inbox, limits: Limits) -> None:
        self._child = child
        self._inbox = inbox
        self._limits = limits
        self._ranks: dict[int, int] = {}
        """Descriptor of a rank's process → rank."""
        self._known: set[int] = set()
        self._dead: list[int] = []
        self.reason = ""
        """Why the launcher should have ended, where the session's own end is not why."""
        self.was_interrupted = False
        self.was_silent = False

    @property
    def saw_ranks(self) -> bool:
        """Whether any rank has ever arrived, as far as is known here."""
        return bool(self._known) or self._inbox.first_dead_elsewhere() is not None

    def wait(self) -> int:
        """Return the launcher's exit status, as a shell knows it."""
        previous = signal.signal(signal.SIGTERM, _as_interrupt)
        try:
            self._wait_for_end()
        except KeyboardInterrupt:
            self.was_interrupted = True
            _stop(self._child)
            return INTERRUPTED
        finally:
            signal.signal(signal.SIGTERM, previous)
            if self._child.poll() is None:
                _signal_group(self._child, signal.SIGKILL)
                self._child.wait()
            for descriptor in self._ranks:
                os.close(descriptor)
        self._look()
        code = self._child.returncode
        return code if code >= 0 else 128 - code

    def _wait_for_end(self) -> None:
        launcher = os.pidfd_open(self._child.pid)
        try:
            deadline: float | None = None
            while self._child.poll() is None:
                self._look()
                if deadline is None and self._is_over():
                    has_ended = self._inbox.read("completed") is not None
                    patience_s = self._limits.end_s if has_ended else self._limits.grace_s
                    deadline = time.monotonic() + patience_s
                if deadline is not None and time.monotonic() >= deadline:
                    self._end_launcher()
                    return
                self.was_silent = self._is_silent()
                if self.was_silent:
                    self._end_launcher()
                    return
                left_s = _LOOK_S if deadline is None else deadline - time.monotonic()
                self._sleep(launcher, min(_LOOK_S, max(left_s, 0.0)))
        finally:
            os.close(launcher)

    def _sleep(self, launcher: int, seconds: float) -> None:
        """Sleep until a process ends, or for so long."""
        poller = select.poll()
        for descriptor in (launcher, *self._ranks):
            poller.register(descriptor, select.POLLIN)
        for descriptor, _ in poller.poll(seconds * 1000 + 1):
            if descriptor in self._ranks:
                self._dead.append(self._ranks.pop(descriptor))
                os.close(descriptor)

    def _look(self) -> None:
        """Learn of the ranks that have arrived, and of those that left without a word."""
        here = self._inbox.ranks_here()
        for rank, process_id in here.items():
            if rank not in self._known:
                self._known.add(rank)
                try:
                    self._ranks[os.pidfd_open(process_id)] = rank
                except ProcessLookupError:
                    self._dead.append(rank)
        died = [rank for rank in self._dead if rank in here]
        self._dead.clear()
        if self.reason or self._inbox.read("aborting") is not None:
            return
        elsewhere = self._inbox.first_dead_elsewhere()
        if elsewhere is not None:  # what died here at the same time was ended by the launcher
            self.reason = f"{elsewhere} died before the session's end"
        elif died:
            ranks = f"rank{'s' if len(died) > 1 else ''} {', '.join(map(str, sorted(died)))}"
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
        sys.stderr.write(f"mlpstorage: the launcher does not end, although {why}: it is killed\n")
        _signal_group(self._child, signal.SIGTERM)
        try:
            self._child.wait(min(TERMINATE_GRACE_S, self._limits.grace_s))
        except subprocess.TimeoutExpired:
            _signal_group(self._child, signal.SIGKILL)
            self._child.wait()


def _as_interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGUSR1)
    for grace_s, stronger in (
        (INTERRUPT_GRACE_S, signal.SIGTERM),
        (TERMINATE_GRACE_S, signal.SIGKILL),
    ):
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline:
            try:
                child.wait(timeout=max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                break
            except KeyboardInterrupt:  # a second Ctrl-C: no more patience
                break
            else:
                return
        _signal_group(child, stronger)
    child.wait()


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
                os.write(2, inbox.sift(part))
        os.write(2, inbox.sift(b"\n")[:-1])

    thread = threading.Thread(target=pass_on, daemon=True)
    thread.start()
    yield
    thread.join(TERMINATE_GRACE_S)  # a process elsewhere may still hold the other end


def _clear_away(word: str) -> None:
    """Kill what is left of a launch on this host, and let survivors finish their work."""
    survivors: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(WORD_VARIABLE) != word:
                continue
            if survivor.is_survivor(process.cmdline()):
                survivors.append(process)
            else:
                process.kill()
        except psutil.Error:
            continue  # it ended meanwhile, or is another user's
    psutil.wait_procs(survivors, timeout=_SURVIVORS_S)
