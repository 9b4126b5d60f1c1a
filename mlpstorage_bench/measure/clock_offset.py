"""How far a rank's clock is ahead of rank 0's, how well that is known, and a window's edges by it.

Clocks of different hosts start anywhere and run at slightly different rates. In one exchange
rank 0 notes its time, asks another rank for its own, and notes its time again when the answer is
here. The other clock was read somewhere between; taken for the middle, that is wrong by at most
half the round trip, however unequal the ways there and back are. Of several exchanges the one with
the shortest round trip counts.

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
"""After the least number, exchanges go on until one was this quick: processes share cores."""


class Exchange(NamedTuple):
    """One question for the time, and its answer."""

    asked_ns: int
    """Rank 0's clock."""
    read_ns: int
    """The other's."""
    answered_ns: int
    """Rank 0's."""

    @property
    def round_trip_ns(self) -> int:
        """How long the answer took."""
        return self.answered_ns - self.asked_ns


@dataclass(frozen=True)
class ClockOffset:
    """How far a rank's clock was ahead of rank 0's at one moment."""

    at_ns: int
    """The moment, by this rank's clock."""
    ahead_ns: int
    uncertainty_ns: int
    """The truth is no further away than this."""

    @classmethod
    def none(cls, at_ns: int) -> ClockOffset:
        """Return that of rank 0's own clock."""
        return cls(at_ns, 0, 0)

    @classmethod
    def of(cls, exchanges: Iterable[Exchange]) -> ClockOffset:
        """Return what the quickest of these exchanges tells."""
        best = min(exchanges, key=lambda exchange: exchange.round_trip_ns)
        middle_ns = (best.asked_ns + best.answered_ns) // 2
        return cls(best.read_ns, best.read_ns - middle_ns, best.answered_ns - middle_ns)


def has_enough(exchanges: Sequence[Exchange]) -> bool:
    """Whether these exchanges tell the offset as well as it can be known here."""
    if len(exchanges) < LEAST_EXCHANGES:
        return False
    quickest_ns = min(exchange.round_trip_ns for exchange in exchanges)
    return quickest_ns <= GOOD_ROUND_TRIP_NS or len(exchanges) >= MOST_EXCHANGES


@dataclass(frozen=True)
class CommonTime:
    """Moments of this rank's clock as rank 0's has them, by offsets taken before and after.

    Between the two the clocks are taken to drift evenly: then the uncertainty is that of the worse
    one.
    """

    before: ClockOffset
    after: ClockOffset

    def of(self, moment_ns: int) -> int:
        """Return a moment of this rank's clock in rank 0's time."""
        elapsed_ns = self.after.at_ns - self.before.at_ns
        drifted_ns = self.after.ahead_ns - self.before.ahead_ns
        since_ns = moment_ns - self.before.at_ns
        drift_ns = drifted_ns * since_ns // elapsed_ns if elapsed_ns else 0
        return moment_ns - self.before.ahead_ns - drift_ns

    @property
    def uncertainty_ns(self) -> int:
        """How far `of` may be off."""
        return max(self.before.uncertainty_ns, self.after.uncertainty_ns)


@dataclass(frozen=True)
class WindowEdges:
    """When a rank's window opened and closed, in rank 0's time."""

    opened_ns: int
    closed_ns: int
    uncertainty_ns: int
    """Of either."""
    ahead_ns: int
    """How far this rank's clock was ahead of rank 0's before the window."""

    @classmethod
    def of(cls, opened_ns: int, closed_ns: int, time: CommonTime) -> WindowEdges:
        """Return the edges that a rank saw by its own clock."""
        return cls(
            time.of(opened_ns), time.of(closed_ns), time.uncertainty_ns, time.before.ahead_ns
        )


def spread_ns(moments_ns: Sequence[int]) -> int | None:
    """Return the time from the first to the last of the ranks' moments; None without any."""
    return max(moments_ns) - min(moments_ns) if moments_ns else None
