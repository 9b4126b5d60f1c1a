"""Delays before ranks abort the session at a test's limit."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.mpi.watchdog import turn_s


@given(size=st.integers(1, 4096), grace_s=st.floats(0.01, 3600))
def test_abort_delays_give_rank_0_half_the_grace_and_differ(size: int, grace_s: float) -> None:
    turns = [turn_s(rank, size, grace_s) for rank in range(size)]
    assert turns[0][1] == grace_s / 2
    assert all(least_s <= most_s <= grace_s for least_s, most_s in turns)
    assert all(before < after for (_, before), (after, _) in itertools.pairwise(turns))
