"""Checks of the actual ranks against the user's options, and errors common to all ranks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.launch.hosts import HOSTS_OPTION, Host
from mlpstorage_bench.options.settings import Settings


def usage_error(message: str, *, is_root: bool) -> pytest.UsageError:
    """Return the error for every rank to raise; only rank 0 has the text, which pytest prints."""
    return pytest.UsageError(message) if is_root else pytest.UsageError()


def format_problems(problems: Sequence[tuple[str, str]]) -> str:
    """Return the problems of all ranks as one text; a problem common to all is stated once."""
    texts = {text for _, text in problems}
    if len(texts) == 1:
        return texts.pop()
    places = [f"rank {rank} on {host}: " for rank, (host, _) in enumerate(problems)]
    return "\n".join(
        text if text.startswith(place) else place + text
        for place, (_, text) in zip(places, problems, strict=True)
        if text
    )


def check_ranks(settings: Settings, hosts: Sequence[str], *, launched: bool) -> None:
    """Check the number of ranks, in total and per host, against the user's options."""
    size = len(hosts)
    if settings.wants_ranks and not launched:
        return  # this session only reports the planned run
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
    """Raise InvalidInputError if the hosts of the ranks are not those of the user's option."""
    if not are_same:
        raise InvalidInputError(
            HOSTS_OPTION,
            ",".join(str(host) for host in given),
            f"the hosts of the ranks: {', '.join(dict.fromkeys(actual))}",
            hint="Give the launcher and this option the same hosts",
        )
