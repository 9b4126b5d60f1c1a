"""Stragglers: ranks and hosts that slow down the others.

Rule: a straggler moved less than 0.7 of the bytes of the median of its peers in the same time, and
its bytes per second of operation time were less than 0.7 of their median. A slow rank meets both
conditions; a rank with fewer requests has idle lanes, and meets only the first. Peers are ranks
with as many users, and hosts with as many ranks that have as many users. If the median number of
operations is below 10, a single large entry would decide, and no straggler is reported.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

SLOW_SHARE = 0.7
LEAST_OPERATIONS = 10

PeerGroup = tuple[int, ...]


@dataclass(frozen=True)
class Work:
    """Work of one rank on storage within a window."""

    rank: int
    host: str
    users: int
    moved_bytes: int
    operations: int
    """Operations that ended within the window."""
    busy_s: float
    """Sum of their durations."""
    seconds: float = 1.0
    """Time in which it moved the bytes, where each rank has its own: its amount is fixed.

    The default serves where one window ends for all.
    """

    @property
    def moved_per_s(self) -> float:
        """Bytes moved per second; 0 if it had no time."""
        return self.moved_bytes / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Straggler:
    """A rank or a whole host that is slower than its peers."""

    host: str
    rank: int | None
    """None: the whole host."""
    share: float
    """Bytes moved in the same time / median of its peers."""

    def __str__(self) -> str:
        kind = "host" if self.rank is None else "rank"
        name = f"host {self.host}" if self.rank is None else f"rank {self.rank} on {self.host}"
        return (
            f"{name} is slow: it moved {self.share:.0%} of the median {kind}'s bytes in the same "
            "time"
        )


Subject = TypeVar("Subject")


@dataclass(frozen=True)
class _Participant(Generic[Subject]):
    """A rank or a host, and its work."""

    subject: Subject
    """The rank's work, or the host's name."""
    peer_group: PeerGroup
    """Number of users of each rank: participants with equal values are peers."""
    moved_per_s: float
    moved_bytes: int
    operations: int
    busy_s: float

    @property
    def bytes_per_s(self) -> float:
        """Bytes per second of operation time; 0 if no operation ended."""
        return self.moved_bytes / self.busy_s if self.busy_s else 0.0


@dataclass(frozen=True)
class _Slow(Generic[Subject]):
    """A slow rank or host, and the median of its peers."""

    subject: Subject
    moved_per_s: float
    median_per_s: float

    @property
    def share(self) -> float:
        """Bytes moved in the same time / median of its peers."""
        return self.moved_per_s / self.median_per_s

    @property
    def missing_per_s(self) -> float:
        """Median of its peers - bytes moved, per second."""
        return self.median_per_s - self.moved_per_s


def find_stragglers(work: Sequence[Work]) -> list[Straggler]:
    """Return the slow hosts, then the slow ranks of the other hosts."""
    hosts, ranks = _find_all(work)
    return [
        *(Straggler(one.subject, None, one.share) for one in hosts),
        *(Straggler(one.subject.host, one.subject.rank, one.share) for one in ranks),
    ]


def missing_share(work: Sequence[Work]) -> float:
    """Return the share of the bandwidth that is missing because stragglers are slower."""
    hosts, ranks = _find_all(work)
    missing = sum(one.missing_per_s for one in hosts) + sum(one.missing_per_s for one in ranks)
    return missing / (sum(one.moved_per_s for one in work) + missing) if missing else 0.0


def waiting_share(work: Sequence[Work]) -> float:
    """Return the share of the longest time in which stragglers alone had not finished.

    It is what they cost where work is over when the last rank has finished.
    """
    hosts, ranks = _find_all(work)
    slow_hosts, slow_ranks = {one.subject for one in hosts}, {one.subject.rank for one in ranks}
    others_s = [
        one.seconds for one in work if one.host not in slow_hosts and one.rank not in slow_ranks
    ]
    longest_s = max((one.seconds for one in work), default=0.0)
    return 1 - max(others_s) / longest_s if others_s and longest_s else 0.0


def _find_all(work: Sequence[Work]) -> tuple[list[_Slow[str]], list[_Slow[Work]]]:
    """Return the slow hosts, and the slow ranks of the other hosts."""
    by_host: dict[str, list[Work]] = {}
    for one in work:
        by_host.setdefault(one.host, []).append(one)
    hosts = _find_slow(
        _Participant(
            host,
            tuple(sorted(one.users for one in ranks)),
            sum(one.moved_per_s for one in ranks),
            sum(one.moved_bytes for one in ranks),
            sum(one.operations for one in ranks),
            sum(one.busy_s for one in ranks),
        )
        for host, ranks in by_host.items()
        if len(ranks) > 1  # a host of one rank is that rank
    )
    slow_hosts = {one.subject for one in hosts}
    ranks = _find_slow(
        _Participant(
            one, (one.users,), one.moved_per_s, one.moved_bytes, one.operations, one.busy_s
        )
        for one in work
    )
    return hosts, [one for one in ranks if one.subject.host not in slow_hosts]


def _find_slow(participants: Iterable[_Participant[Subject]]) -> list[_Slow[Subject]]:
    """Return those that are slow by the rule."""
    peer_groups: dict[PeerGroup, list[_Participant[Subject]]] = {}
    for participant in participants:
        peer_groups.setdefault(participant.peer_group, []).append(participant)
    found = []
    for group in peer_groups.values():
        moved_per_s = statistics.median(participant.moved_per_s for participant in group)
        bytes_per_s = statistics.median(participant.bytes_per_s for participant in group)
        operations = statistics.median(participant.operations for participant in group)
        if not moved_per_s or operations < LEAST_OPERATIONS:
            continue
        found += [
            _Slow(participant.subject, participant.moved_per_s, moved_per_s)
            for participant in group
            if participant.moved_per_s < SLOW_SHARE * moved_per_s
            and participant.bytes_per_s < SLOW_SHARE * bytes_per_s
        ]
    return found
