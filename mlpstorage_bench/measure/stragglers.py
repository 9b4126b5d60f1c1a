"""Ranks and hosts that hold the others back.

The rule: a straggler moved less than 0.7 of the bytes of the median of its equals, and was less
than 0.7 as fast while it was at it (bytes per second of its operations). A rank that is slow is
both; one that was merely asked for less has idle lanes, and is not slow. Equals are ranks with as
many users, and hosts with as many ranks that have as many users. Where the median has ended fewer
than 10 operations, one large entry would make the difference, and nobody is named.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

SLOW_SHARE = 0.7
LEAST_OPERATIONS = 10

Equals = tuple[int, ...]


@dataclass(frozen=True)
class Work:
    """What one rank did in a window, on storage."""

    rank: int
    host: str
    users: int
    moved_bytes: int
    operations: int
    """That ended."""
    busy_s: float
    """The time that these took, added up."""


@dataclass(frozen=True)
class Straggler:
    """A rank or a whole host that moved less than its equals, and more slowly."""

    host: str
    rank: int | None
    """None: the host."""
    share: float
    """Of the bytes that the median of its equals moved."""

    def __str__(self) -> str:
        kind = "host" if self.rank is None else "rank"
        who = f"host {self.host}" if self.rank is None else f"rank {self.rank} on {self.host}"
        return f"{who} is slow: it moved {self.share:.0%} of the median {kind}'s bytes"


Who = TypeVar("Who")


@dataclass(frozen=True)
class _Party(Generic[Who]):
    """A rank or a host, and what it did."""

    who: Who
    equals: Equals
    moved_bytes: int
    operations: int
    busy_s: float

    @property
    def bytes_per_s(self) -> float:
        """How fast it was while it was at it; nothing ended counts as no speed at all."""
        return self.moved_bytes / self.busy_s if self.busy_s else 0.0


def find_stragglers(work: Sequence[Work]) -> list[Straggler]:
    """Return the hosts that held the others back, then such ranks of the other hosts."""
    by_host: dict[str, list[Work]] = {}
    for one in work:
        by_host.setdefault(one.host, []).append(one)
    hosts = [
        _Party(
            host,
            tuple(sorted(one.users for one in ranks)),
            sum(one.moved_bytes for one in ranks),
            sum(one.operations for one in ranks),
            sum(one.busy_s for one in ranks),
        )
        for host, ranks in by_host.items()
        if len(ranks) > 1  # a host of one rank is that rank
    ]
    slow_hosts = {party.who: share for party, share in _slow(hosts)}
    ranks = [_Party(one, (one.users,), one.moved_bytes, one.operations, one.busy_s) for one in work]
    return [
        *(Straggler(host, None, share) for host, share in slow_hosts.items()),
        *(
            Straggler(party.who.host, party.who.rank, share)
            for party, share in _slow(ranks)
            if party.who.host not in slow_hosts
        ),
    ]


def _slow(parties: Iterable[_Party[Who]]) -> list[tuple[_Party[Who], float]]:
    """Return those that are slow by the rule, with their share."""
    equals: dict[Equals, list[_Party[Who]]] = {}
    for party in parties:
        equals.setdefault(party.equals, []).append(party)
    found = []
    for group in equals.values():
        moved_bytes = statistics.median(party.moved_bytes for party in group)
        bytes_per_s = statistics.median(party.bytes_per_s for party in group)
        operations = statistics.median(party.operations for party in group)
        if not moved_bytes or operations < LEAST_OPERATIONS:
            continue
        found += [
            (party, party.moved_bytes / moved_bytes)
            for party in group
            if party.moved_bytes < SLOW_SHARE * moved_bytes
            and party.bytes_per_s < SLOW_SHARE * bytes_per_s
        ]
    return found
