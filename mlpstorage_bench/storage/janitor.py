"""A process that removes a rank's cache files when the rank cannot: it was killed.

It holds the reading end of a pipe whose writing end only the rank has. At the end the rank
dismisses it with a byte; should the pipe close without one, the rank is dead, and its directory
goes. Runs as a program of its own, with the standard library alone, in a session of its own: what
kills the ranks does not reach it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_DISMISSED = b"d"


def hire(directory: Path) -> "subprocess.Popen[bytes]":
    """Start a janitor for a directory."""
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-I", "-S", __file__, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )


def dismiss(janitor: "subprocess.Popen[bytes]") -> None:
    """Send a janitor home; its directory is no longer its business."""
    janitor.communicate(_DISMISSED)


def is_janitor(command: Sequence[str]) -> bool:
    """Whether a process with this command line is a janitor."""
    return __file__ in command[1:4]


def main() -> None:
    """Wait for the rank's end, and clean up after it unless dismissed."""
    if os.read(0, 1) != _DISMISSED:
        shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    main()
