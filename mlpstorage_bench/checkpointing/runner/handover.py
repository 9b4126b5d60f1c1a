"""Hand-over from writes to reads: the user's command, and the page cache."""

from __future__ import annotations

import shlex
import subprocess

from mlpstorage_bench.checkpointing.config.parameters import Parameters
from mlpstorage_bench.checkpointing.runner.share_files import ShareFiles
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.mpi.ranks import Ranks
from mlpstorage_bench.storage.cached_files import DroppedFiles, drop_files

_MOST_OUTPUT = 500
"""Characters of a command's output in a message."""
_NOT_DROPPED = DroppedFiles(None, "not dropped, as drop_caches is off")


class HandOver:
    """Hand-overs of a rank's checkpoints: before the first read, and before one is read again."""

    def __init__(self, files: ShareFiles, ranks: Ranks, *, is_first_on_host: bool) -> None:
        self._files = files
        self._ranks = ranks
        self._is_first_on_host = is_first_on_host
        self._unused: set[int] = set()
        """Checkpoints that were neither written nor read since the last hand-over."""

    def is_due(self, checkpoint: int) -> bool:
        """Whether a checkpoint was written or read since the last hand-over."""
        return checkpoint not in self._unused

    def was_used(self, checkpoint: int) -> None:
        """Note that a checkpoint is written or read."""
        self._unused.discard(checkpoint)

    def run(self, parameters: Parameters) -> DroppedFiles:
        """Run the user's command on each host, then drop the pages of all files; collective."""
        if parameters.call_out is not None and self._is_first_on_host:
            run_call_out(parameters.call_out)
        self._ranks.barrier()
        self._unused = {*self._files.written}
        return drop_files(self._files.paths()) if parameters.drop_caches else _NOT_DROPPED


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


def _refusal(command: str, problem: str) -> InvalidInputError:
    return InvalidInputError(
        "call_out", command, "a command that each host can run between the phases", hint=problem
    )
