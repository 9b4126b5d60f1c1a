"""Turns that are examined in arrays, compared with the same requests one by one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpstorage_bench.kvcache.config.block_layout import in_units, units_of
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.turn_tally import (
    Bounds,
    Examined,
    Pace,
    examine,
    sizes_by_tokens,
)
from mlpstorage_bench.kvcache.workload.requests import draw_users, user_streams
from mlpstorage_bench.kvcache.workload.users import MOST_CONTEXT_TOKENS

ASKED = Workload(model="tiny-1b", num_users=1, duration=1.0, entry_scale=0.01)
SIZES = sizes_by_tokens(ASKED, (4096,))


def one_by_one(user: int, seed: int, pace: Pace, bounds: Bounds) -> Examined:
    """Examine the requests of a user as they come from its stream."""
    [stream] = user_streams(1, seed, first_user=user)
    now_s = stream.start_s * pace.think_time_scale
    requests = occupied = largest = 0
    for request in stream.requests:
        if now_s >= pace.ends_s or requests == bounds.limit:
            break
        is_full = bounds.enough_bytes is not None and occupied > bounds.enough_bytes
        if requests >= bounds.most or (is_full and requests >= bounds.enough):
            return Examined(requests, occupied, largest, is_complete=False)
        requests += 1
        occupied += int(SIZES[request.context_tokens])
        largest = max(largest, request.context_tokens)
        now_s += request.generated_tokens * pace.generation_s_per_token
        now_s += request.think_s * pace.think_time_scale
    return Examined(requests, occupied, largest, is_complete=True)


@pytest.mark.slow
@given(
    user=st.integers(0, 50),
    seed=st.integers(0, 2**32),
    pace=st.builds(
        Pace,
        st.sampled_from([0.0, 0.001, 0.05, 1.0]),
        st.sampled_from([0.0, 0.002]),
        st.floats(0.0, 8.0),
    ),
    bounds=st.builds(
        Bounds,
        st.none() | st.integers(0, 300),
        st.sampled_from([0, 1, 200, 5000]),
        st.integers(0, 200),
        st.none() | st.integers(-1, 10**9),
    ),
)
@settings(max_examples=150, deadline=None)
def test_turns_in_arrays_are_those_of_the_stream(
    user: int, seed: int, pace: Pace, bounds: Bounds
) -> None:
    [drawn] = draw_users(1, seed, first_user=user)
    assert examine(drawn, pace, SIZES, bounds) == one_by_one(user, seed, pace, bounds)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{}, {"entry_scale": 1.0, "model": "llama3.1-8b"}, {"layout": "slab", "tokens_per_block": 7}],
)
def test_sizes_by_tokens_are_those_of_entries(changes: dict[str, object]) -> None:
    asked = ASKED.model_copy(update=changes)
    units = units_of(asked, 512)
    sizes = sizes_by_tokens(asked, units)
    tokens = range(MOST_CONTEXT_TOKENS + 1)
    expected = [in_units(asked.entry_bytes(number), units) for number in tokens]
    assert sizes.tolist() == expected
