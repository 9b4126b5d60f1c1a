"""Restriction of standard output, files and tables to rank 0."""

from __future__ import annotations

import os
import sys

import pytest

from mlpstorage_bench.session.pytest_internals.capture import without_capture
from mlpstorage_bench.session.pytest_internals.mpi_plugin import let_pytest_mpi_run
from mlpstorage_bench.session.pytest_internals.other_plugins import starts_workers
from mlpstorage_bench.session.pytest_internals.written_files import leave_files_to_rank_0

NO_WORKERS = (
    "-n (pytest-xdist) starts workers in every rank, and pytest-benchmark does not measure in "
    "workers: leave it out under MPI"
)
NO_RUN_IN_WORKERS = (
    "workers of pytest-xdist would disturb each other's measurements: leave out -n, or run these "
    "tests in a session of their own"
)


def refuse_workers(config: pytest.Config) -> None:
    """Raise a usage error if pytest-xdist would start workers in this rank."""
    if starts_workers(config):
        raise pytest.UsageError(NO_WORKERS)


def silence_output() -> None:
    """Redirect this process's standard output to /dev/null.

    Call it while pytest does not capture. Standard error stays, so that errors of MPI, of the
    interpreter and of pytest itself remain visible.
    """
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def silence_output_after_collection(config: pytest.Config) -> None:
    """Redirect standard output to /dev/null after collection, when pytest captures output."""
    without_capture(config, silence_output)


def prepare(config: pytest.Config, rank: int) -> None:
    """Leave files and tables to rank 0, and turn pytest-mpi on."""
    refuse_workers(config)
    let_pytest_mpi_run(config, ())
    if rank > 0:
        leave_files_to_rank_0(config)
