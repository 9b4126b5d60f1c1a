"""Hosts, slots, and the layout of ranks over them (MLPerf Storage rules, 6.3.3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlpstorage_bench.errors import InvalidInputError

HOSTS_OPTION = "--mlps-hosts"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Names of this host that a resource manager does not know."""
MOST_RANKS = 1_000_000
"""Most ranks of a session."""


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
    if layout.total > MOST_RANKS:
        raise InvalidInputError(
            "--mlps-npernode",
            npernode,
            f"at most {MOST_RANKS} ranks in all",
            hint=f"{len(hosts)} hosts have {layout.total}",
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
