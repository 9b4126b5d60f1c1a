"""Helper process that cleans up after a rank, or after the parent, when it is killed.

It removes a rank's cache files, prints the line that reports a rank's death, or ends the ranks
whose parent was killed. It reads from a pipe whose writing end only its owner has. The owner stops
it with one byte; a pipe that closes without that byte means that the owner was killed. The reaper
is a program of its own in a session of its own, with the standard library alone, so that signals
to the ranks' process groups do not reach it.
"""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

_STOP = b"d"
_INTERRUPT_S = 10.0
"""Time for ranks to finish their reports, in seconds."""
_TERMINATE_S = 10.0
"""Time for a launcher to end its ranks, including those on other hosts."""
_CLEANUP_S = 10.0
"""Time for reapers to finish their task, and for the kernel to end killed processes."""
_POLL_S = 0.05


def start(
    task: Literal["remove", "print", "end"], *subject: str, error_output: int = subprocess.DEVNULL
) -> "subprocess.Popen[bytes]":
    """Start a reaper with one of three tasks.

    `remove` DIRECTORY NAMES: see `remove_named`. `print` LINE: to `error_output`. `end` GROUP MARK
    DIRECTORY: end a launcher's process group and all processes with the mark, and remove the launch
    directory.
    """
    reaper = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-I", "-S", __file__, task, *subject],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=error_output,
        start_new_session=True,
        cwd="/",
    )
    assert reaper.stdin is not None
    os.register_at_fork(
        after_in_child=reaper.stdin.close
    )  # else a forked child keeps the pipe open
    return reaper


def stop(reaper: "subprocess.Popen[bytes]") -> None:
    """Stop a reaper without doing its task: its owner ends normally."""
    reaper.communicate(_STOP)


def remove_named(directory: str, names: str) -> None:
    """Remove a directory and its entries whose names match; OSError on failure.

    `names` is a regular expression for the whole name of a file or directory. Links are not
    followed. Entries with other names stay with their contents, and so do their parent directories.
    """
    _remove_named(directory, re.compile(names), parent=None)


def _remove_named(directory: str, names: "re.Pattern[str]", parent: int | None) -> None:
    try:
        descriptor = os.open(directory, os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except FileNotFoundError:
        return  # another process removed it
    try:
        with os.scandir(descriptor) as found:
            own = [entry for entry in found if names.fullmatch(entry.name)]
        for entry in own:
            if entry.is_dir(follow_symlinks=False):
                _remove_named(entry.name, names, descriptor)
            else:
                with suppress(FileNotFoundError):
                    os.unlink(entry.name, dir_fd=descriptor)
    finally:
        os.close(descriptor)
    try:
        os.rmdir(directory, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
            raise


def kill_marked(mark: str) -> None:
    """Kill all processes of this host whose environment has the mark (NAME=VALUE).

    Reapers among them finish their task first.
    """
    deadline = time.monotonic() + _CLEANUP_S
    while left := _marked(mark):
        for process_id, command in left.items():
            if not _is_reaper(command):
                _kill(process_id)
        if time.monotonic() >= deadline:
            return
        time.sleep(_POLL_S)


def _marked(mark: str) -> dict[int, list[str]]:
    """Return process id → command line of processes with the mark; zombies have no environment."""
    found: dict[int, list[str]] = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            if mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                command = (process / "cmdline").read_bytes()
                found[int(process.name)] = os.fsdecode(command).split("\0")
        except OSError:
            continue  # it ended meanwhile, or belongs to another user
    return found


def _is_reaper(command: Sequence[str]) -> bool:
    return __file__ in command[1:4]


def _kill(process_id: int) -> None:
    try:
        os.kill(process_id, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended meanwhile


def _end_group(group: int) -> None:
    """End a launcher and its ranks, also those on other hosts.

    SIGUSR1 goes to the launcher alone, which forwards it: the ranks then finish as after Ctrl-C.
    SIGTERM and SIGKILL follow, to the whole group, if that takes too long.
    """
    for number, patience_s in (
        (signal.SIGUSR1, _INTERRUPT_S),
        (signal.SIGTERM, _TERMINATE_S),
        (signal.SIGKILL, 0.0),
    ):
        deadline = time.monotonic() + patience_s
        send = os.kill if number == signal.SIGUSR1 else os.killpg
        try:
            send(group, number)
            while time.monotonic() < deadline:
                time.sleep(_POLL_S)
                os.killpg(group, 0)
        except ProcessLookupError:
            if number != signal.SIGUSR1:  # else the launcher ended, and others of its group may not
                return


def main() -> None:
    """Wait for the owner's end, and do the task unless stopped."""
    if os.read(0, 1) == _STOP:
        return
    task, *subject = sys.argv[1:]
    if task == "remove":
        directory, names = subject
        with suppress(OSError):  # there is no process left that could report it
            remove_named(directory, names)
    elif task == "print":
        os.write(2, f"{subject[0]}\n".encode())
    else:
        group, mark, directory = subject
        _end_group(int(group))
        kill_marked(mark)
        shutil.rmtree(Path(directory), ignore_errors=True)


if __name__ == "__main__":
    main()
