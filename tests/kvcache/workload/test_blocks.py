"""Blocks keyed by hash chain: equal prefixes, and only these, have equal keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.kvcache.workload.blocks import Segment, hash_chain_blocks

SEGMENTS = st.lists(
    st.builds(Segment, st.sampled_from("abcd"), st.integers(1, 40), st.just("conversation")),
    max_size=6,
)


def tokens(segments: list[Segment]) -> list[tuple[str, int]]:
    """Tokens of the segments, one by one, as the expected result."""
    return [(s.source, position) for s in segments for position in range(s.tokens)]


@pytest.mark.slow
@given(SEGMENTS, SEGMENTS, st.integers(1, 16))
def test_blocks_are_equal_up_to_the_first_different_token(
    one: list[Segment], other: list[Segment], size: int
) -> None:
    mine, theirs = hash_chain_blocks(one, size), hash_chain_blocks(other, size)
    for number, (a, b) in enumerate(zip(mine, theirs, strict=False), start=1):
        same = tokens(one)[: number * size] == tokens(other)[: number * size]
        assert (a.key == b.key) == same


@pytest.mark.slow
@given(SEGMENTS, st.integers(1, 16))
def test_incomplete_last_block_is_dropped(segments: list[Segment], size: int) -> None:
    blocks = hash_chain_blocks(segments, size)
    assert len(blocks) == len(tokens(segments)) // size
    assert {block.tokens for block in blocks} <= {size}
    assert len({block.key for block in blocks}) == len(blocks)


def test_keys_depend_on_token_positions_of_a_source() -> None:
    def keys(*parts: tuple[str, int]) -> list[str]:
        return [
            b.key for b in hash_chain_blocks([Segment(s, n, "conversation") for s, n in parts], 4)
        ]

    assert keys(("a", 4), ("b", 4))[0] == keys(("a", 8))[0]
    assert keys(("a", 3), ("b", 5))[0] != keys(("a", 8))[0]
    assert keys(("b", 4), ("a", 4))[1] != keys(("c", 4), ("a", 4))[1], "another parent"


def test_block_purpose_is_that_of_its_first_token() -> None:
    parts = [Segment("s", 6, "system prompt"), Segment("t", 6, "conversation")]
    assert [b.purpose for b in hash_chain_blocks(parts, 4)] == [
        "system prompt",
        "system prompt",
        "conversation",
    ]
