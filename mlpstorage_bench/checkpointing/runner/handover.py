"""Hand-over from writes to reads: the user's command, and the page cache."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterable
from pathlib import Path

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.storage.cached_files import DroppedFiles, drop_files

_MOST_OUTPUT = 500
"""Characters of a command's output in a message."""
NOT_DROPPED = DroppedFiles(None, "not dropped, as drop_caches is off")


def run_call_out(command: str) -> None:
    """Run the user's command, without a shell; InvalidInputError if it cannot run or fails."""
    try:
        words = shlex.split(command)
        done = subprocess.run(  # noqa: S603 - the user's own command, without a shell
            words, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
    except (OSError, ValueError, IndexError) as error:
        raise _refusal(command, str(error)) from error
    if done.returncode:
        output = (done.stderr or done.stdout).strip()[-_MOST_OUTPUT:]
        raise _refusal(command, f"it ended with status {done.returncode}: {output}")


def drop(paths: Iterable[Path], *, is_wanted: bool) -> DroppedFiles:
    """Drop the files' pages from the page cache, if that is wanted."""
    return drop_files(paths) if is_wanted else NOT_DROPPED


def _refusal(command: str, problem: str) -> InvalidInputError:
    return InvalidInputError(
        "call_out", command, "a command that each host can run between the phases", hint=problem
    )
