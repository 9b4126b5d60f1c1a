"""The timers that pytest-benchmark uses in our sessions.

It takes a timer's difference around each round, and decides by it how many rounds to run.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence

import pytest

from mlpstorage_bench.mpi.comm import Comm
from mlpstorage_bench.session.pytest_internals import set_timer_precision

_PRECISION_SAMPLES = 20


class MeasuredClock:
    """A timer that moves only by what a benchmark measured.

    A measurement window has a fixed length, so that its wall time measures nothing.
    """

    def __init__(self) -> None:
        self._seconds = 0.0

    def measured_seconds(self) -> float:
        """Return the sum of all that was measured, in seconds: pytest-benchmark's timer."""
        return self._seconds

    def advance(self, seconds: float) -> None:
        """Add what a round took."""
        self._seconds += seconds


def collective_timer(comm: Comm) -> Callable[[], float]:
    """Return a timer that reads the same on every rank: the slowest rank's time.

    With a timer of its own each rank would run its own number of rounds, and a benchmark with a
    collective in it would wait for ever. To be called by all ranks together.
    """
    started = time.perf_counter()

    def slowest_rank_seconds() -> float:
        return comm.allreduce(time.perf_counter() - started, "max")

    readings = [slowest_rank_seconds() for _ in range(_PRECISION_SAMPLES + 1)]
    precision = min(b - a for a, b in itertools.pairwise(readings))
    # pytest-benchmark would find this out itself, but for a time that each rank takes by its own
    # clock: the ranks would part there.
    set_timer_precision(slowest_rank_seconds, precision)
    return slowest_rank_seconds


def use_timer(items: Sequence[pytest.Item], timer: Callable[[], float], **settings: object) -> None:
    """Make pytest-benchmark time these tests with `timer`, unless a test names its own.

    It takes its settings from the closest marker alone, so that what a test says in a marker of
    its own is repeated in ours.
    """
    for item in items:
        closest = item.get_closest_marker("benchmark")
        own = dict(closest.kwargs) if closest else {}
        item.add_marker(pytest.mark.benchmark(**{"timer": timer, **own, **settings}), append=False)
