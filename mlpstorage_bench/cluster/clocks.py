"""How far the wall clocks of hosts are apart: whether timestamps of one are those of another."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

ROUNDS = 5


def measure_clock_offsets(
    allgather: Callable[[float], list[float]], clock: Callable[[], float] = time.time
) -> tuple[float, ...]:
    """Return the seconds that each rank's clock is ahead of rank 0's; by all ranks together.

    Every rank reads its clock as it leaves a meeting. Ranks leave one apart by a scheduler's whim,
    one way or the other: the median of a few rounds is good to tens of milliseconds, which tells a
    clock that is set from one that is not. Measurements do not rest on it.
    """
    rounds: list[list[float]] = []
    for _ in range(ROUNDS):
        allgather(0.0)  # no rank reads its clock before all are here
        rounds.append(allgather(clock()))
    return tuple(
        statistics.median(times[rank] - times[0] for times in rounds)
        for rank in range(len(rounds[0]))
    )
