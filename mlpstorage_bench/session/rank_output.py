"""Standard output, files and tables of a session over ranks: rank 0 alone has them."""

from __future__ import annotations

import os
import sys

import pytest

from mlpstorage_bench.session import pytest_internals

NO_WORKERS = (
    "-n (pytest-xdist) starts workers in every rank, and pytest-benchmark does not measure in "
    "them: leave it out under MPI"
)


def refuse_workers(config: pytest.Config) -> None:
    """Raise a usage error where pytest-xdist is to have workers in this rank."""
    if pytest_internals.worker_count(config):
        raise pytest.UsageError(NO_WORKERS)


def silence_output() -> None:
    """Redirect what this process will write to standard output to /dev/null.

    To be called while pytest does not capture. Standard error stays: what MPI, the interpreter or
    pytest itself report when something breaks is not lost.
    """
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def silence_output_after_collection(config: pytest.Config) -> None:
    """Do the same once pytest captures output between suspensions."""
    pytest_internals.without_capture(config, silence_output)


def prepare(config: pytest.Config, *, is_root: bool) -> None:
    """Leave files and tables to rank 0, and let pytest-mpi know that this is MPI."""
    refuse_workers(config)
    pytest_internals.let_pytest_mpi_run(config, ())
    if not is_root:
        pytest_internals.leave_files_to_rank_0(config)
