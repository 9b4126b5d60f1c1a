"""A process that outlives a rank, and does what the rank cannot when it was killed.

It removes the rank's cache files, or tells of its death. It holds the reading end of a pipe whose
writing end only the rank has. At the end the rank dismisses it with a byte; should the pipe close
without one, the rank is dead. Runs as a program of its own, with the standard library alone, in a
session of its own: what kills the ranks does not reach it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

_DISMISSED = b"d"


def hire(
    task: Literal["remove", "say"], subject: str, error_output: int = subprocess.DEVNULL
) -> "subprocess.Popen[bytes]":
    """Start a survivor: to remove a directory, or to write a line to `error_output`."""
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-I", "-S", __file__, task, subject],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=error_output,
        start_new_session=True,
        cwd="/",
    )


def dismiss(survivor: "subprocess.Popen[bytes]") -> None:
    """Send a survivor home: this process comes to its end by itself."""
    survivor.communicate(_DISMISSED)


def is_survivor(command: Sequence[str]) -> bool:
    """Whether a process with this command line is a survivor."""
    return __file__ in command[1:4]


def main() -> None:
    """Wait for the rank's end, and do the task unless dismissed."""
    if os.read(0, 1) == _DISMISSED:
        return
    task, subject = sys.argv[1:]
    if task == "remove":
        shutil.rmtree(Path(subject), ignore_errors=True)
    else:
        os.write(2, f"{subject}\n".encode())


if __name__ == "__main__":
    main()
