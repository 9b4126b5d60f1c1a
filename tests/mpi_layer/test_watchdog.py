"""In which order ranks abort all once a test's time is over."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.mpi.watchdog import turn_s


@given(size=st.integers(1, 4096), grace_s=st.floats(0.01, 3600))
def test_rank_0_has_half_the_grace_for_last_words_and_no_two_ranks_abort_together(
    size: int, grace_s: float
) -> None:
    turns = [turn_s(rank, size, grace_s) for rank in range(size)]
    assert turns[0][1] == grace_s / 2
    assert all(least_s <= most_s <= grace_s for least_s, most_s in turns)
    assert all(before < after for (_, before), (after, _) in itertools.pairwise(turns))
