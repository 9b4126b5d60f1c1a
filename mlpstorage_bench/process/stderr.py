"""The process's real standard error, and the exit status of an aborted launch.

pytest replaces descriptor 2 with a file of its own while it captures output, so that the real
standard error has to be duplicated before that: by `duplicate`, in the plugin's first hook.
"""

from __future__ import annotations

import fcntl
import os

_LEAST_DESCRIPTOR = 3
"""A lower number may be the place of a closed standard stream, which pytest fills with a file."""

_duplicates: list[int] = []
"""The duplicate, once there is one."""

ABORT_STATUS = 86
"""Exit status of every rank when some could not be reached after a failure, or took too long."""


def duplicate() -> None:
    """Keep a duplicate of descriptor 2 for messages; a second call does nothing.

    Programs that this process starts do not inherit it. Where standard error is closed, messages
    are dropped.
    """
    if not _duplicates:
        _duplicates.append(_duplicate_of_2())


def descriptor() -> int:
    """Return the descriptor of the real standard error: the duplicate, or 2 if there is none."""
    return _duplicates[0] if _duplicates else 2


def say(message: str) -> None:
    """Write a message and a newline to the real standard error."""
    os.write(descriptor(), f"{message}\n".encode(errors="backslashreplace"))


def _duplicate_of_2() -> int:
    try:
        return fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, _LEAST_DESCRIPTOR)
    except OSError:  # it is closed
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            return fcntl.fcntl(nowhere, fcntl.F_DUPFD_CLOEXEC, _LEAST_DESCRIPTOR)
        finally:
            os.close(nowhere)
