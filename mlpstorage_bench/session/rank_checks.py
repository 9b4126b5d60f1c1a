"""One pytest session over many ranks: what rank 0 does for all, and whether the ranks fit."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.launch.hosts import HOSTS_OPTION, Host
from mlpstorage_bench.options.settings import Settings


def silence_output() -> None:
    """Send what this process will write to standard output nowhere.

    To be called before pytest takes hold of it. Standard error stays: what MPI, the interpreter or
    pytest itself have to say when something breaks is not lost.
    """
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def usage_error(message: str, *, is_root: bool) -> pytest.UsageError:
    """Return the error that every rank raises; pytest prints it on rank 0 alone."""
    return pytest.UsageError(message) if is_root else pytest.UsageError()


def format_problems(problems: Sequence[tuple[str, str]]) -> str:
    """Return the problems of all ranks as one text; a problem that all have is stated once."""
    texts = {text for _, text in problems}
    if len(texts) == 1:
        return texts.pop()
    places = [f"rank {rank} on {host}: " for rank, (host, _) in enumerate(problems)]
    return "\n".join(
        text if text.startswith(place) else place + text
        for place, (_, text) in zip(places, problems, strict=True)
        if text
    )


def prepare(config: pytest.Config, *, is_root: bool) -> None:
    """Leave files and tables to rank 0, and let pytest-mpi know that this is MPI.

    To be called before pytest-benchmark reads its options, which it does last of all plugins.
    """
    if getattr(config.option, "numprocesses", None):
        raise pytest.UsageError(
            "-n (pytest-xdist) starts workers in every rank, and pytest-benchmark does not measure "
            "in them: leave it out under MPI"
        )
    config.option.with_mpi = True
    if is_root:
        return
    for name, value in _RANK_0_ALONE.items():
        setattr(config.option, name, value)


_RANK_0_ALONE: Mapping[str, object] = {
    "benchmark_json": None,
    "benchmark_save": None,
    "benchmark_autosave": None,
    "benchmark_compare": [],
    "benchmark_compare_fail": None,
    "benchmark_histogram": [],
    "benchmark_cprofile_dump": [],
    "benchmark_quiet": True,
    "benchmark_verbose": False,
    "xmlpath": None,
}
"""Options by which a session writes files or tables: off on every rank but the first."""


def check_ranks(settings: Settings, hosts: Sequence[str], *, launched: bool) -> None:
    """Check the actual ranks against the numbers that the user gave."""
    size = len(hosts)
    if settings.wants_ranks and not launched:
        return  # nothing runs here: this session only reports what would run
    if settings.exec_type == "local" and launched and size > 1:
        raise InvalidInputError(
            "--mlps-exec-type",
            "local",
            f"mpi, as this process is one of {size} ranks that a launcher started",
        )
    if settings.num_processes not in (None, size):
        raise InvalidInputError(
            "--mlps-num-processes",
            settings.num_processes,
            f"{size}, the number of ranks that this session has",
            hint="Leave it out under a launcher, or let the launcher start as many",
        )
    slots = [host.slots for host in settings.hosts]
    if slots and None not in slots and sum(slot or 0 for slot in slots) < size:
        raise InvalidInputError(
            HOSTS_OPTION,
            ",".join(str(host) for host in settings.hosts),
            f"slots for at least {size} ranks",
            hint="Raise the slots, or start fewer ranks",
        )
    most = max(hosts.count(host) for host in set(hosts))
    if settings.npernode not in (None, most):
        raise InvalidInputError(
            "--mlps-npernode",
            settings.npernode,
            f"{most}, the number of ranks that each host has",
            hint="Leave it out under a launcher",
        )


def check_hosts(given: Sequence[Host], actual: Sequence[str], *, are_same: bool) -> None:
    """Check the hosts of the ranks against those that the user gave."""
    if not are_same:
        raise InvalidInputError(
            HOSTS_OPTION,
            ",".join(str(host) for host in given),
            f"the hosts of the ranks: {', '.join(dict.fromkeys(actual))}",
            hint="Give the launcher and this option the same hosts",
        )
