"""Division of files into chunks: every byte once, and no chunk across the end of a tensor."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.checkpointing.runner.part_chunks import PartChunking

PARTS = st.lists(st.integers(1, 100_000), min_size=1, max_size=30).map(tuple)


@given(PARTS, st.sampled_from([4096, 16_384, 65_536]), st.sampled_from([4096, 16_384]))
def test_chunks_cover_each_part_from_a_whole_unit_on(
    parts: tuple[int, ...], chunk_bytes: int, unit: int
) -> None:
    chunk_bytes = max(chunk_bytes, unit)
    chunking = PartChunking(chunk_bytes, parts=parts, alignment_bytes=unit)
    size = chunking.stored_bytes
    chunks = [*chunking.chunks(size)]
    begins = {*itertools.accumulate((-(-part // unit) * unit for part in parts), initial=0)}
    assert [chunk.number for chunk in chunks] == [*range(len(chunks))]
    assert chunks[0].offset == 0
    for one, following in itertools.pairwise(chunks):
        assert one.offset + one.size == following.offset
    assert chunks[-1].offset + chunks[-1].size == size
    assert begins <= {chunk.offset for chunk in chunks} | {size}
    assert all(chunk.size <= chunk_bytes and chunk.size % unit == 0 for chunk in chunks)


@given(PARTS)
def test_each_chunk_is_found_by_its_number(parts: tuple[int, ...]) -> None:
    chunking = PartChunking(8192, parts=parts)
    size = chunking.stored_bytes
    chunks = [*chunking.chunks(size)]
    assert chunking.count(size) == len(chunks)
    assert [chunking.chunk(size, number) for number in range(len(chunks))] == chunks


def test_another_size_than_the_files_is_refused() -> None:
    with pytest.raises(ValueError, match="accepted: 4096"):
        PartChunking(4096, parts=(1,)).count(8192)
