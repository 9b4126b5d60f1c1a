from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mlpstorage_bench.cluster.clocks import measure_clock_offsets


class FakeExchange:
    """Exchange of values between the ranks of a fake job, each a thread."""

    def __init__(self, ranks: int) -> None:
        self.values: list[Any] = [None] * ranks
        self.barrier = threading.Barrier(ranks, timeout=30)


class RankComm:
    def __init__(self, rank: int, exchange: FakeExchange) -> None:
        self._rank = rank
        self._exchange = exchange

    def allgather(self, value: object) -> list[Any]:
        self._exchange.values[self._rank] = value
        self._exchange.barrier.wait()
        gathered = list(self._exchange.values)
        self._exchange.barrier.wait()
        return gathered


def measured(ahead_s: Sequence[float], delays_s: Sequence[float] = ()) -> list[tuple[float, ...]]:
    """Return each rank's offsets for clocks that are ahead and readings with random delays."""
    exchange = FakeExchange(len(ahead_s))

    def learn(rank: int) -> tuple[float, ...]:
        late = random.Random(rank)

        def clock() -> float:
            return 1e9 + ahead_s[rank] + (late.choice(delays_s) if delays_s else 0.0)

        return measure_clock_offsets(RankComm(rank, exchange).allgather, clock)

    with ThreadPoolExecutor(len(ahead_s)) as pool:
        return list(pool.map(learn, range(len(ahead_s))))


def test_clock_offsets_are_known_on_every_rank() -> None:
    assert measured([100.0, 100.0, 97.5]) == [(0.0, 0.0, -2.5)] * 3


def test_occasional_delays_do_not_change_clock_offset() -> None:
    (offsets, *_) = measured([0.0, 3.0], delays_s=[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0])
    assert abs(offsets[1] - 3.0) < 0.1
