from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mlpstorage_bench.cluster.clocks import measure_clock_offsets


class FakeExchange:
    """Where the ranks of a fake job, each a thread, put down what they gather."""

    def __init__(self, ranks: int) -> None:
        self.values: list[Any] = [None] * ranks
        self.barrier = threading.Barrier(ranks, timeout=30)


class RankComm:
    def __init__(self, rank: int, exchange: FakeExchange) -> None:
        self._rank = rank
        self._crossing = exchange

    def allgather(self, value: object) -> list[Any]:
        self._crossing.values[self._rank] = value
        self._crossing.barrier.wait()
        gathered = list(self._crossing.values)
        self._crossing.barrier.wait()
        return gathered


def measured(ahead_s: Sequence[float], delays_s: Sequence[float] = ()) -> list[tuple[float, ...]]:
    """Return what each rank learns where clocks are ahead, and readings come late by chance."""
    exchange = FakeExchange(len(ahead_s))

    def learn(rank: int) -> tuple[float, ...]:
        late = random.Random(rank)

        def clock() -> float:
            return 1e9 + ahead_s[rank] + (late.choice(delays_s) if delays_s else 0.0)

        return measure_clock_offsets(RankComm(rank, exchange).allgather, clock)

    with ThreadPoolExecutor(len(ahead_s)) as pool:
        return list(pool.map(learn, range(len(ahead_s))))


def test_every_rank_learns_how_far_each_clock_is_ahead_of_rank_0s() -> None:
    assert measured([100.0, 100.0, 97.5]) == [(0.0, 0.0, -2.5)] * 3


def test_a_rank_that_is_late_now_and_then_has_no_other_clock() -> None:
    (offsets, *_) = measured([0.0, 3.0], delays_s=[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0])
    assert abs(offsets[1] - 3.0) < 0.1
