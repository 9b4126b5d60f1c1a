"""Offset of a rank's clock from rank 0's, its uncertainty, and window edges in rank 0's time.

Clocks of different hosts have different starts and slightly different rates. In one exchange rank 0
notes its time, requests another rank's time, and notes its time again when the reply arrives. The
other clock was read somewhere between; assuming the middle is wrong by at most half the round trip,
however asymmetric the two directions are. The exchange with the shortest round trip is used.

Processes of one host and boot read the same clock. On rank 0's host its offset is zero by
definition: measured, it would be off by what the scheduler delays a reply. On another host, that of
one rank is the offset of all.

F. Cristian, "Probabilistic clock synchronization", Distributed Computing 3 (1989), pp. 146-158; NTP
filters its samples the same way (RFC 5905, section 10).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

LEAST_EXCHANGES = 8
MOST_EXCHANGES = 64
GOOD_ROUND_TRIP_NS = 50_000
"""Exchanges beyond `LEAST_EXCHANGES` continue until one was this fast, as processes share cores."""


class Exchange(NamedTuple):
    """One request for another rank's time, and its reply."""

    sent_ns: int
    """Time of the request by rank 0's clock."""
    remote_ns: int
    """Time in the reply, by the other rank's clock."""
    received_ns: int
    """Time of the reply by rank 0's clock."""

    @property
    def round_trip_ns(self) -> int:
        """Time from request to reply."""
        return self.received_ns - self.sent_ns


@dataclass(frozen=True)
class ClockOffset:
    """Difference of a rank's clock from rank 0's at one moment."""

    at_ns: int
    """The moment, by this rank's clock."""
    ahead_ns: int
    """This rank's time minus rank 0's."""
    uncertainty_ns: int
    """Bound on the error of `ahead_ns`."""

    @classmethod
    def none(cls, at_ns: int) -> ClockOffset:
        """Return the offset of rank 0's own clock: zero, and known exactly."""
        return cls(at_ns, 0, 0)

    @classmethod
    def of(cls, exchanges: Iterable[Exchange]) -> ClockOffset:
        """Return the offset by the exchange with the shortest round trip."""
        best = min(exchanges, key=lambda exchange: exchange.round_trip_ns)
        middle_ns = (best.sent_ns + best.received_ns) // 2
        return cls(best.remote_ns, best.remote_ns - middle_ns, best.received_ns - middle_ns)


def has_enough(exchanges: Sequence[Exchange]) -> bool:
    """Return whether further exchanges would hardly improve the offset."""
    if len(exchanges) < LEAST_EXCHANGES:
        return False
    shortest_ns = min(exchange.round_trip_ns for exchange in exchanges)
    return shortest_ns <= GOOD_ROUND_TRIP_NS or len(exchanges) >= MOST_EXCHANGES


@dataclass(frozen=True)
class CommonTime:
    """Conversion of this rank's time to rank 0's, by offsets taken before and after.

    Assumes that the clocks drift evenly: between the two, the uncertainty is then the larger one.
    Before and after them, both errors count by how far away a moment is.
    """

    before: ClockOffset
    after: ClockOffset

    def of(self, moment_ns: int) -> int:
        """Return a time of this rank's clock in rank 0's time."""
        elapsed_ns = self.after.at_ns - self.before.at_ns
        drifted_ns = self.after.ahead_ns - self.before.ahead_ns
        since_ns = moment_ns - self.before.at_ns
        drift_ns = drifted_ns * since_ns // elapsed_ns if elapsed_ns else 0
        return moment_ns - self.before.ahead_ns - drift_ns

    @property
    def uncertainty_ns(self) -> int:
        """Bound on the error of `of` between the two."""
        return max(self.before.uncertainty_ns, self.after.uncertainty_ns)


@dataclass(frozen=True)
class WindowEdges:
    """Opening and closing of a rank's window, in rank 0's time."""

    opened_ns: int
    closed_ns: int
    uncertainty_ns: int
    """Bound on the error of each edge."""
    ahead_ns: int
    """This rank's time minus rank 0's, before the window."""

    @classmethod
    def of(cls, opened_ns: int, closed_ns: int, time: CommonTime) -> WindowEdges:
        """Convert edges from the rank's own clock."""
        return cls(
            time.of(opened_ns), time.of(closed_ns), time.uncertainty_ns, time.before.ahead_ns
        )


def spread_ns(moments_ns: Sequence[int]) -> int | None:
    """Return the time between the earliest and the latest moment; None without moments."""
    return max(moments_ns) - min(moments_ns) if moments_ns else None
