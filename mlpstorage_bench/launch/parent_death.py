"""End of the ranks on a host whose parent was killed, if its helper process does not end them.

The parent and its helper process (`process/reaper.py`) hold named pipes open, and the kernel closes
these when they are killed. A thread of each rank on the parent's host waits for that. One of them
then starts another helper process with the same task.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mlpstorage_bench.launch.environment import LAUNCH_ID_VARIABLE
from mlpstorage_bench.process import reaper

_PARENT, _HELPER = "parent-runs", "parent-or-helper-runs"
"""Named pipes: one that the parent holds open, and one that its helper process holds, too."""
_LAUNCHER, _TAKEN = "launcher", "launcher-taken"
"""File with the launcher's process; its name, once a rank has started the other helper process."""
_MARGIN_S = 5.0
"""Time for a helper process that was killed or stopped to show that it does not end the ranks."""
_takers: list[subprocess.Popen[bytes]] = []
"""The helper process that this rank has started: it outlives the rank."""


@contextmanager
def held_pipes(directory: Path) -> Iterator[int]:
    """Hold both pipes open; yield the descriptor that the helper process inherits."""
    with ExitStack() as held:
        descriptors = []
        for name in (_PARENT, _HELPER):
            os.mkfifo(directory / name, 0o600)
            descriptor = os.open(directory / name, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            held.callback(os.close, descriptor)
            descriptors.append(descriptor)
        yield descriptors[1]


def start_helper(
    directory: Path, launcher: subprocess.Popen[bytes], launch_id: str, pipe: int
) -> subprocess.Popen[bytes]:
    """Start the parent's helper process, and note for ranks what another one would have to end."""
    started = reaper.start_ticks(launcher.pid) or 0
    subject = (str(launcher.pid), str(started), launch_id)
    unfinished = directory / f".{_LAUNCHER}"
    unfinished.write_text(" ".join(subject), encoding="ascii")
    unfinished.replace(directory / _LAUNCHER)
    return _start(directory, subject, (pipe,))


def watch(directory: Path) -> None:
    """Start the thread of a rank that waits for the death of the parent and its helper process."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        pipes = [os.open(directory / name, flags) for name in (_PARENT, _HELPER)]
    except FileNotFoundError:
        return  # the launch has ended, and its parent is about to end this rank
    arguments = (directory, *pipes)
    threading.Thread(target=_wait_for_deaths, args=arguments, name="parent", daemon=True).start()


def remove_orphaned(directory: Path) -> None:
    """Remove the directory of a launch whose parent and helper process were killed.

    The last rank does this, because Slurm ends the helper process of a rank with the rank's step.
    """
    if (directory / _TAKEN).exists():
        shutil.rmtree(directory, ignore_errors=True)


def _wait_for_deaths(directory: Path, parent: int, helper: int) -> None:
    _wait_until_closed(parent, None)
    _wait_until_closed(helper, reaper.LONGEST_END_S + _MARGIN_S)
    try:
        (directory / _LAUNCHER).rename(directory / _TAKEN)
        launcher, started, launch_id = (directory / _TAKEN).read_text(encoding="ascii").split()
    except OSError:
        pass  # another rank does it, or the launch has ended
    else:
        taker = _start(directory, (launcher, started, launch_id), ())
        _takers.append(taker)
        assert taker.stdin is not None
        taker.stdin.close()  # its task begins
    time.sleep(reaper.LONGEST_END_S + _MARGIN_S)
    os.kill(os.getpid(), signal.SIGKILL)  # there is nobody left who would end this rank


def _start(
    directory: Path, subject: tuple[str, str, str], inherited: tuple[int, ...]
) -> subprocess.Popen[bytes]:
    launcher, started, launch_id = subject
    unmarked = {name: value for name, value in os.environ.items() if name != LAUNCH_ID_VARIABLE}
    mark = f"{LAUNCH_ID_VARIABLE}={launch_id}"
    return reaper.start(
        *("end", launcher, started, mark, str(directory)), environment=unmarked, inherited=inherited
    )


def _wait_until_closed(pipe: int, seconds: float | None) -> None:
    """Wait until nobody holds a pipe open for writing, or the seconds have passed."""
    try:
        if os.read(pipe, 1) == b"":
            return  # its writers ended before this process opened it: poll would not report that
    except BlockingIOError:
        pass
    poller = select.poll()
    poller.register(pipe, 0)  # only the end of its writers
    poller.poll(None if seconds is None else seconds * 1000)
