"""Offsets between the wall clocks of hosts, to judge whether their timestamps are comparable."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

ROUNDS = 5


def measure_clock_offsets(
    allgather: Callable[[float], list[float]], clock: Callable[[], float] = time.time
) -> tuple[float, ...]:
    """Return the seconds that each rank's clock is ahead of rank 0's; a collective of all ranks.

    Every rank reads its clock after a collective, which ranks leave with random scheduling delays.
    The median of a few rounds is accurate to tens of milliseconds, enough to recognise a clock that
    is not synchronised. No measurement uses these offsets.
    """
    rounds: list[list[float]] = []
    for _ in range(ROUNDS):
        allgather(0.0)  # no rank reads its clock before all are here
        rounds.append(allgather(clock()))
    return tuple(
        statistics.median(times[rank] - times[0] for times in rounds)
        for rank in range(len(rounds[0]))
    )
