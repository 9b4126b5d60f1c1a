"""A moment at which all ranks begin together."""

from __future__ import annotations

import time

from mlpstorage_bench.measure.clock import Clock
from mlpstorage_bench.measure.clock_offset import ClockOffset
from mlpstorage_bench.mpi.ranks import Ranks
from mlpstorage_bench.units import NS_PER_S

_LEAST_LEAD_NS = 10_000_000
_LEAD_BROADCASTS = 4
"""Lead of a window in multiples of a broadcast's duration, so that all ranks receive the moment
before it comes."""


def common_moment_ns(ranks: Ranks, clock: Clock, offset: ClockOffset) -> int:
    """Return a moment of this rank's clock that is the same moment on every rank.

    Rank 0 announces it in advance. A rank that receives it too late gets its present moment; the
    spread of the edges of windows shows this.
    """
    ranks.barrier()
    arrived_ns = clock.now_ns()
    ranks.bcast(None)
    ranks.bcast(None)  # cannot begin before the first has reached every rank
    now_ns = clock.now_ns()
    lead_ns = max(_LEAST_LEAD_NS, _LEAD_BROADCASTS * (now_ns - arrived_ns))
    moment_ns = ranks.bcast(now_ns + lead_ns) + offset.ahead_ns
    return max(moment_ns, clock.now_ns())


def sleep_until(clock: Clock, moment_ns: int) -> None:
    """Sleep until a moment of the clock."""
    time.sleep(max(0, moment_ns - clock.now_ns()) / NS_PER_S)
