"""A test's limit: when it expires, and the delays before ranks abort the session."""

from __future__ import annotations

import itertools
import queue

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.mpi.watchdog import Watchdog, turn_s


@pytest.mark.slow
@given(size=st.integers(1, 4096), grace_s=st.floats(0.01, 3600))
def test_abort_delays_give_rank_0_half_the_grace_and_differ(size: int, grace_s: float) -> None:
    turns = [turn_s(rank, size, grace_s) for rank in range(size)]
    assert turns[0][1] == grace_s / 2
    assert all(least_s <= most_s <= grace_s for least_s, most_s in turns)
    assert all(before < after for (_, before), (after, _) in itertools.pairwise(turns))


def test_extended_task_has_its_deadline_later() -> None:
    expired: queue.SimpleQueue[str] = queue.SimpleQueue()
    watchdog = Watchdog(3600, 3600, expired.put)
    watchdog.extend(1)  # without a task, nothing
    with watchdog.guard_test("a test"):
        watchdog.extend(7200)
        watchdog.extend(-9000)  # half an hour is left
        assert expired.empty()
        watchdog.extend(-1801)
        assert expired.get(timeout=60) == "a test"
