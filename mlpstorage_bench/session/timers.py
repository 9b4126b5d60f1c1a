"""Timers for pytest-benchmark in sessions of this plugin.

pytest-benchmark reads the timer before and after each round, and derives the number of rounds.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence

import pytest

from mlpstorage_bench.mpi.comm import Comm
from mlpstorage_bench.session.pytest_internals.benchmark_fixture import set_timer_precision

_PRECISION_SAMPLES = 20


class MeasuredClock:
    """A timer that advances only by measured times.

    A measurement window has a fixed length, so that its wall time measures nothing.
    """

    def __init__(self) -> None:
        self._seconds = 0.0

    def measured_seconds(self) -> float:
        """Return the sum of all measured times, in seconds."""
        return self._seconds

    def advance(self, seconds: float) -> None:
        """Add the time of a round."""
        self._seconds += seconds


def collective_timer(comm: Comm) -> Callable[[], float]:
    """Return a timer with the same reading on every rank: the slowest rank's time.

    With separate timers, ranks would run different numbers of rounds, and a benchmark with a
    collective operation would hang. All ranks call it together.
    """
    started = time.perf_counter()

    def slowest_rank_seconds() -> float:
        return comm.allreduce(time.perf_counter() - started, "max")

    readings = [slowest_rank_seconds() for _ in range(_PRECISION_SAMPLES + 1)]
    precision = min(b - a for a, b in itertools.pairwise(readings))
    # pytest-benchmark would measure the precision for a time by each rank's own clock: the number
    # of collective calls would differ between ranks.
    set_timer_precision(slowest_rank_seconds, precision)
    return slowest_rank_seconds


def use_timer(items: Sequence[pytest.Item], timer: Callable[[], float], **settings: object) -> None:
    """Make pytest-benchmark time these tests with `timer`, unless a test sets its own.

    pytest-benchmark reads only the closest marker, so that ours repeats the settings of the test's.
    """
    for item in items:
        closest = item.get_closest_marker("benchmark")
        own = dict(closest.kwargs) if closest else {}
        item.add_marker(pytest.mark.benchmark(**{"timer": timer, **own, **settings}), append=False)
