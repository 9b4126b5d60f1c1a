"""Content is that of earlier versions: by digests of it, and by its definition."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.storage.buffers import AlignedBuffer
from mlpstorage_bench.storage.payload import Content, Payload
from mlpstorage_bench.storage.stamps import Words
from mlpstorage_bench.units import KIB, MIB

SECTOR = 4096
WORD = 1 << 64
NAME, GENERATION = "user 1\udc80/é", 12_345_678
LARGE = 18 * MIB + 12 * KIB


def chunks(content: Content, size: int, chunk: int) -> Iterator[bytes]:
    """Yield the entry's content, made chunk by chunk."""
    buffer = AlignedBuffer(chunk)
    for offset in range(0, size, chunk):
        made = min(chunk, size - offset)
        content.fill(buffer, made, offset)
        yield bytes(buffer.bytes[:made])


def digest(parts: Iterator[bytes]) -> str:
    hashed = xxhash.xxh3_64()
    for part in parts:
        hashed.update(part)
    return hashed.hexdigest()


PAYLOADS = {
    "plain": Payload(5, origin="rank 1 of trial 2"),
    "compressible": Payload(5, compress_ratio=1.5),
    "stamps alone": Payload(6, compress_ratio=1000),
    "with copies": Payload(7, origin="rank 0", dedup_ratio=2.0),
    "both": Payload(7, compress_ratio=3.0, dedup_ratio=1.25),
}
GOLDEN = {
    ("plain", 4 * KIB): "7fabfeb887066e11",
    ("plain", 16 * KIB): "a1cb9418dcb5f37d",
    ("plain", 64 * KIB): "d54c2dc2af3fcd51",
    ("plain", MIB): "8499a2967a483e07",
    ("plain", LARGE): "4df881b8e75e9dfe",
    ("compressible", 4 * KIB): "dc78d944c7722918",
    ("compressible", 64 * KIB): "4b157a875d3375d0",
    ("compressible", LARGE): "9fda54688c1fe82c",
    ("stamps alone", 64 * KIB): "f836cb84b29cab4d",
    ("with copies", 4 * KIB): "7b72c3fe923cf4ed",
    ("with copies", 64 * KIB): "e379b9e79e956fa3",
    ("with copies", MIB): "831b85c60d6fb285",
    ("with copies", LARGE): "2e664c1923dd51b0",
    ("both", 12 * KIB): "ea32cab54d781b83",
    ("both", LARGE): "fbad475b8c665a86",
}
"""XXH3-64 of what earlier versions made."""


@pytest.mark.parametrize(("kind", "size"), GOLDEN)
@pytest.mark.parametrize("chunk", [None, MIB, 64 * KIB, 12 * KIB])
def test_content_is_that_of_earlier_versions(kind: str, size: int, chunk: int | None) -> None:
    payload = PAYLOADS[kind]
    content = payload.content(payload.identity(NAME, GENERATION))
    assert digest(chunks(content, size, chunk or size)) == GOLDEN[kind, size]


def test_identities_are_those_of_earlier_versions() -> None:
    payload = PAYLOADS["plain"]
    assert payload.identity(NAME, GENERATION) == 0x37827C4131BBB653
    assert payload.identity("", 0) == 0xC28C8DE840089D6E
    assert payload.identity("a", 1) == 0x82D45367D0C02809


def stamp(number: int, identity: int) -> int:
    """Return SplitMix64's output with the identity as its seed."""
    mixed = (number * 0x9E3779B97F4A7C15 + identity) % WORD
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % WORD
    return mixed ^ (mixed >> 31)


def sector(payload: Payload, identity: int, number: int) -> bytes:
    """Return a sector's content by its definition."""
    if payload.copied_share:
        unit, within = divmod(number, 16)
        draw = stamp(unit, identity ^ payload.shared_identity)
        if (draw >> 11) * 2.0**-53 < payload.copied_share:
            identity, number = payload.shared_identity, draw % 16 * 16 + within
    row = number % 256
    words: Words = payload.pool[row] ^ np.uint64(stamp(number - row, identity))
    words[0] = stamp(number, identity)
    words[payload.filled_words :] = 0
    return words.tobytes()


@pytest.mark.slow
@given(
    kind=st.sampled_from(sorted(PAYLOADS)),
    identity=st.integers(0, WORD - 1),
    parts=st.lists(
        st.tuples(st.just(0) | st.integers(0, 5000), st.integers(1, 40)), min_size=1, max_size=5
    ),
    spare=st.integers(0, 2),
)
def test_any_chunk_in_any_order_is_by_the_definition(
    kind: str, identity: int, parts: list[tuple[int, int]], spare: int
) -> None:
    content = PAYLOADS[kind].content(identity)
    for begin, count in parts:
        buffer = AlignedBuffer((count + spare) * SECTOR)
        buffer.sectors[:] = 1
        content.fill(buffer, count * SECTOR, begin * SECTOR)
        for number in range(count):
            made = bytes(buffer.bytes[number * SECTOR : (number + 1) * SECTOR])
            assert made == sector(PAYLOADS[kind], identity, begin + number)
        assert (buffer.sectors[count:] == 1).all()


def test_last_sectors_of_the_largest_entry_are_by_the_definition() -> None:
    payload, buffer = PAYLOADS["plain"], AlignedBuffer(SECTOR)
    last = (1 << 30) - 1
    payload.content(WORD - 1).fill(buffer, SECTOR, last * SECTOR)
    assert bytes(buffer.bytes) == sector(payload, WORD - 1, last)


def test_threads_share_no_memory_for_stamps() -> None:
    stamps = PAYLOADS["plain"].first_stamps
    with ThreadPoolExecutor(1) as other:
        assert other.submit(lambda: stamps.here).result() is not stamps.here
    assert stamps.here is stamps.here


def test_content_that_is_made_before_another_stays() -> None:
    payload = PAYLOADS["plain"]
    one, other = AlignedBuffer(64 * KIB), AlignedBuffer(64 * KIB)
    payload.content(1).fill(one, 64 * KIB, 0)
    before = payload.digest(one, 64 * KIB)
    payload.content(2).fill(other, 64 * KIB, 0)
    assert payload.digest(one, 64 * KIB) == before != payload.digest(other, 64 * KIB)


def test_digest_is_of_the_first_bytes_alone() -> None:
    whole, part = AlignedBuffer(2 * SECTOR), AlignedBuffer(SECTOR)
    PAYLOADS["plain"].content(3).fill(whole, 2 * SECTOR, 0)
    PAYLOADS["plain"].content(3).fill(part, SECTOR, 0)
    assert Payload.digest(whole, SECTOR) == Payload.digest(part, SECTOR)
    assert Payload.digest(whole, 2 * SECTOR) == xxhash.xxh3_64_intdigest(bytes(whole.bytes))
