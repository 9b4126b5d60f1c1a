"""The process's real standard error, and the status of an aborted launch."""

from __future__ import annotations

import fcntl
import os

STDERR = fcntl.fcntl(2, fcntl.F_DUPFD, 3)
"""The real standard error: pytest replaces descriptor 2 with a file of its own while a test runs,
and may open one in place of a closed standard input."""

ABORT_STATUS = 86
"""Exit status of every rank when some could not be reached after a failure, or took too long."""


def say(message: str) -> None:
    """Write a message and a newline to the real standard error."""
    os.write(STDERR, f"{message}\n".encode(errors="backslashreplace"))
