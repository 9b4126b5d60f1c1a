"""The loader's order: PyTorch's round robin, prefetch and delivery in order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.training.workload.loader import LoaderOrder

WORKERS = st.integers(1, 6)
FACTORS = st.integers(1, 4)
BATCHES = st.integers(0, 40)


def test_a_worker_reads_every_batch_whose_turn_is_its_own() -> None:
    order = LoaderOrder(workers=3, prefetch_factor=2, batches=10)
    assert [order.next_task(1) for _ in range(3)] == [1, 4, None]
    assert order.next_task(0) == 0
    order.finished(0)
    assert order.take() == 0  # batch 6 is given to worker 0
    assert order.next_task(1) is None
    assert [order.next_task(0) for _ in range(3)] == [3, 6, None]


def test_a_batch_that_is_read_early_waits_for_those_before_it() -> None:
    order = LoaderOrder(workers=2, prefetch_factor=1, batches=4)
    assert order.next_task(1) == 1
    order.finished(1)
    assert not order.is_next_ready
    assert order.ready == 1
    assert order.next_task(0) == 0
    order.finished(0)
    assert [order.take(), order.take()] == [0, 1]


def test_workers_without_a_batch_have_nothing_to_do() -> None:
    order = LoaderOrder(workers=4, prefetch_factor=1, batches=2)
    assert [order.has_tasks_for(worker) for worker in range(4)] == [True, True, False, False]


@pytest.mark.slow
@given(WORKERS, FACTORS, BATCHES, st.integers(0, 2**32))
def test_any_speed_of_workers_delivers_every_batch_once_in_order_within_the_prefetch(
    workers: int, factor: int, batches: int, seed: int
) -> None:
    dice, order = random.Random(seed), LoaderOrder(workers, factor, batches)
    reading: dict[int, int] = {}
    delivered: list[int] = []
    while len(delivered) < batches:
        for worker in range(workers):
            if worker not in reading and (task := order.next_task(worker)) is not None:
                assert task % workers == worker
                assert task < order.taken + workers * factor
                reading[worker] = task
        if reading and (not order.is_next_ready or dice.random() < 0.5):
            worker = dice.choice(sorted(reading))
            order.finished(reading.pop(worker))
        elif order.is_next_ready:
            delivered.append(order.take())
    assert delivered == list(range(batches))
    assert order.ready == 0
    assert not any(order.has_tasks_for(worker) for worker in range(workers))
