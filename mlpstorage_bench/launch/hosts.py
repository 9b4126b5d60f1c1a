"""Hosts, slots, and the layout of ranks over them (MLPerf Storage rules, 6.3.3.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.errors import InvalidInputError

HOSTS_OPTION = "--mlps-hosts"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Names of this host that a resource manager does not know."""
_ACCEPTED = "NAME, NAME:SLOTS, a comma list of these, or @FILE with one of these a line"
_HOST = re.compile(
    r"(?P<name>[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(:(?P<slots>[1-9][0-9]*))?"
)


@dataclass(frozen=True)
class Host:
    """A host, with its number of slots if the user gave one."""

    name: str
    slots: int | None = None

    def __str__(self) -> str:
        return self.name if self.slots is None else f"{self.name}:{self.slots}"


@dataclass(frozen=True)
class Layout:
    """Layout of a session's ranks: evenly over the hosts, as far as their slots allow."""

    hosts: tuple[Host, ...]
    ranks_per_node: int

    @property
    def total(self) -> int:
        """Number of ranks over all hosts."""
        return self.ranks_per_node * len(self.hosts)

    def slots_of(self, host: Host) -> int:
        """Return the slots of a host: the given number, else its even share of ranks."""
        return host.slots or self.ranks_per_node

    @property
    def ranks_by_host(self) -> tuple[int, ...]:
        """Number of ranks of each host; ranks beyond its slots go round-robin to free slots."""
        slots = [self.slots_of(host) for host in self.hosts]
        ranks = [min(self.ranks_per_node, limit) for limit in slots]
        left = self.total - sum(ranks)
        while left and (free := [n for n, limit in enumerate(slots) if ranks[n] < limit][:left]):
            for number in free:
                ranks[number] += 1
            left -= len(free)
        return tuple(ranks)


def parse_hosts(values: Sequence[str]) -> tuple[Host, ...]:
    """Parse every occurrence of the hosts option: comma lists and @hostfiles, in order."""
    hosts: list[Host] = []
    for value in values:
        hosts += _read_hostfile(value) if value.startswith("@") else _parse_list(value)
    names = [host.name for host in hosts]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInputError(
                HOSTS_OPTION,
                ",".join(str(host) for host in hosts),
                "each host once",
                hint=f"{name} is listed {names.count(name)} times; "
                f"write {name}:SLOTS to put several ranks on it",
            )
    return tuple(hosts)


def _parse_list(value: str) -> list[Host]:
    return [_parse_host(item.strip(), value) for item in value.split(",")]


def _parse_host(item: str, given: str) -> Host:
    match = _HOST.fullmatch(item)
    if match is None:
        raise InvalidInputError(HOSTS_OPTION, given, _ACCEPTED, hint=f"{item!r} is none of them")
    slots = match["slots"]
    return Host(match["name"], int(slots) if slots else None)


def _read_hostfile(value: str) -> list[Host]:
    """Read a hostfile: a host a line, `name`, `name:slots` or Open MPI's `name slots=N`."""
    path = Path(value[1:])
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            HOSTS_OPTION, value, _ACCEPTED, hint=f"The file cannot be read: {error}"
        ) from error
    entries = [line.split("#", 1)[0].strip() for line in lines]
    hosts = [
        _parse_host(re.sub(r"\s+slots\s*=\s*", ":", entry), f"{value}: {entry}")
        for entry in entries
        if entry
    ]
    if not hosts:
        raise InvalidInputError(HOSTS_OPTION, value, _ACCEPTED, hint="The file names no host")
    return hosts


def lay_out(
    hosts: Sequence[Host], *, num_processes: int | None = None, npernode: int | None = None
) -> Layout:
    """Return the layout of ranks over the hosts; without hosts, all ranks run on this host.

    With a total alone, it must be a multiple of the number of hosts. With ranks per node alone, the
    total is their product. With both, they must agree; with neither, each host has one rank.
    Explicit slots must sum to at least the total.
    """
    hosts = tuple(hosts) or (Host("localhost"),)
    if num_processes is None:
        layout = Layout(hosts, npernode or 1)
    elif num_processes % len(hosts):
        raise InvalidInputError(
            "--mlps-num-processes",
            num_processes,
            f"a multiple of the number of hosts ({len(hosts)})",
            hint="Ranks are spread evenly: use "
            f"{max(1, num_processes // len(hosts)) * len(hosts)} or change the hosts",
        )
    else:
        layout = Layout(hosts, num_processes // len(hosts))
        if npernode is not None and npernode != layout.ranks_per_node:
            raise InvalidInputError(
                "--mlps-npernode",
                npernode,
                f"{layout.ranks_per_node}, as --mlps-num-processes={num_processes} over "
                f"{len(hosts)} host(s) gives",
                hint="Leave one of the two out",
            )
    _check_slots(layout, npernode)
    return layout


def _check_slots(layout: Layout, npernode: int | None) -> None:
    if all(host.slots is None for host in layout.hosts):
        return
    slots = sum(layout.slots_of(host) for host in layout.hosts)
    if slots < layout.total:
        raise InvalidInputError(
            HOSTS_OPTION,
            ",".join(str(host) for host in layout.hosts),
            f"slots for at least {layout.total} ranks",
            hint=f"These sum to {slots}: raise them, or run fewer ranks",
        )
    short = [host for host in layout.hosts if npernode and layout.slots_of(host) < npernode]
    if short:
        raise InvalidInputError(
            "--mlps-npernode",
            npernode,
            f"at most the slots of every host in {HOSTS_OPTION}",
            hint=f"{short[0].name} has {short[0].slots}",
        )
