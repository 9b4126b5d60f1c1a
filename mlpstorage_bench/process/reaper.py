"""A process that outlives another, and does what that cannot when it was killed.

It removes a rank's cache files, tells of a rank's death, or ends the ranks whose parent is gone. It
holds the reading end of a pipe whose writing end only the other has. At the end the other dismisses
it with a byte; should the pipe close without one, the other is dead. Runs as a program of its own,
with the standard library alone, in a session of its own: what kills the ranks does not reach it.
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
_TERMINATE_S = 10.0
"""For a launcher to end its ranks, on other hosts, too."""
_PATIENCE_S = 10.0
"""For reapers to finish their work, and for the kernel to end what was killed."""
_LOOK_S = 0.05


def start(
    task: Literal["remove", "say", "end"], *subject: str, error_output: int = subprocess.DEVNULL
) -> "subprocess.Popen[bytes]":
    """Start a reaper.

    `remove` DIRECTORY NAMES, as `remove_named` does; `say` LINE, to `error_output`; or `end` GROUP
    MARK DIRECTORY: a launcher's process group, all that carries the mark, and the directory of the
    launch.
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
    os.register_at_fork(after_in_child=reaper.stdin.close)  # or a child keeps the pipe open
    return reaper


def stop(reaper: "subprocess.Popen[bytes]") -> None:
    """Send a reaper home: this process comes to its end by itself."""
    reaper.communicate(_STOP)


def remove_named(directory: str, names: str) -> None:
    """Remove a directory and what is in it, except what has another name; OSError on failure.

    `names` is a regular expression for the whole name of a file or directory. Links are not
    followed. What has another name stays with all that is in it, and so do the directories above.
    """
    _remove_named(directory, re.compile(names), parent=None)


def _remove_named(directory: str, names: "re.Pattern[str]", parent: int | None) -> None:
    try:
        descriptor = os.open(directory, os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except FileNotFoundError:
        return  # somebody else removed it
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


def clear_away(mark: str) -> None:
    """Kill what has a mark (NAME=VALUE) in its environment, on this host, until nothing is left.

    Reapers among it are let finish their work.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while left := _marked(mark):
        for process_id, command in left.items():
            if not _is_reaper(command):
                _kill(process_id)
        if time.monotonic() >= deadline:
            return
        time.sleep(_LOOK_S)


def _marked(mark: str) -> dict[int, list[str]]:
    """Return process id → command line; those that have ended, if unnoticed, have neither."""
    found: dict[int, list[str]] = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            if mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                command = (process / "cmdline").read_bytes()
                found[int(process.name)] = os.fsdecode(command).split("\0")
        except OSError:
            continue  # it ended meanwhile, or is another user's
    return found


def _is_reaper(command: Sequence[str]) -> bool:
    return __file__ in command[1:4]


def _kill(process_id: int) -> None:
    try:
        os.kill(process_id, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended meanwhile


def _end_group(group: int) -> None:
    """End a launcher: it ends what it has on other hosts, if it is let."""
    for number, patience_s in ((signal.SIGTERM, _TERMINATE_S), (signal.SIGKILL, 0.0)):
        deadline = time.monotonic() + patience_s
        try:
            os.killpg(group, number)
            while time.monotonic() < deadline:
                time.sleep(_LOOK_S)
                os.killpg(group, 0)
        except ProcessLookupError:
            return


def main() -> None:
    """Wait for the other's end, and do the task unless dismissed."""
    if os.read(0, 1) == _STOP:
        return
    task, *subject = sys.argv[1:]
    if task == "remove":
        directory, names = subject
        with suppress(OSError):  # nobody is left to be told
            remove_named(directory, names)
    elif task == "say":
        os.write(2, f"{subject[0]}\n".encode())
    else:
        group, mark, directory = subject
        _end_group(int(group))
        clear_away(mark)
        shutil.rmtree(Path(directory), ignore_errors=True)


if __name__ == "__main__":
    main()
