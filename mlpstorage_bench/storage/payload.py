"""What is in the data: a function of (seed, name, generation, sector), checked on every read.

Each 4 KiB sector is a row of a random pool combined by XOR with a key of its own, so that neither
compression nor deduplication finds anything at any block size. Its first two words are a stamp:
the identity of (seed, name, generation), and the number of the sector within the entry.

A chunk's XXH3-64 digest is taken when it is written. Reading it back, the digest is compared,
which covers every byte at memory speed; only after a mismatch is the content made again, to tell
where and how it differs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xxhash
from numpy.typing import NDArray

from mlpstorage_bench.errors import CorruptDataError
from mlpstorage_bench.storage.buffers import SECTOR_BYTES, WORDS_PER_SECTOR, AlignedBuffer

STAMP_WORDS = 2
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True)
class ChunkPlace:
    """Which part of which entry a chunk is."""

    path: str
    """Where it is stored, for messages."""
    identity: int
    offset: int
    """In bytes from the entry's start; a multiple of the sector size."""


class Payload:
    """Makes and checks content for chunks of up to `chunk_bytes`."""

    def __init__(self, seed: int, chunk_bytes: int) -> None:
        self._seed = seed
        words = np.random.default_rng(seed).integers(
            0, 2**64, size=chunk_bytes // 8, dtype=np.uint64
        )
        self._pool: NDArray[np.uint64] = words.reshape(-1, WORDS_PER_SECTOR)

    def identity(self, name: str, generation: int) -> int:
        """Return the stamp of an entry: what its content is a function of, in 64 bits."""
        return xxhash.xxh3_64_intdigest(f"{name}\0{generation}".encode(), seed=self._seed)

    def fill(self, buffer: AlignedBuffer, size: int, place: ChunkPlace) -> int:
        """Put the content of `place` into the buffer's first `size` bytes; return its digest."""
        self._make(buffer.sectors[: size // SECTOR_BYTES], place)
        return xxhash.xxh3_64_intdigest(buffer.bytes[:size])

    def verify(self, buffer: AlignedBuffer, size: int, place: ChunkPlace, digest: int) -> None:
        """Raise CorruptDataError unless the buffer holds what `fill` put there for `place`."""
        if xxhash.xxh3_64_intdigest(buffer.bytes[:size]) != digest:
            raise self._describe(buffer.sectors[: size // SECTOR_BYTES], place)

    def _make(self, sectors: NDArray[np.uint64], place: ChunkPlace) -> None:
        count = len(sectors)
        first = place.offset // SECTOR_BYTES
        numbers = np.arange(first, first + count, dtype=np.uint64)
        keys = _mix(numbers, place.identity)
        np.bitwise_xor(self._pool[:count], keys[:, None], out=sectors)
        sectors[:, 0] = place.identity
        sectors[:, 1] = numbers

    def _describe(self, found: NDArray[np.uint64], place: ChunkPlace) -> CorruptDataError:
        expected = np.empty_like(found)
        self._make(expected, place)
        differing = np.flatnonzero((found != expected).any(axis=1))
        if not len(differing):
            return CorruptDataError(
                "verifying",
                place.path,
                f"the digest taken when offset {place.offset} was written does not match, though "
                "the content is right: this process's memory is damaged",
            )
        sector = int(differing[0])
        word = int(np.flatnonzero(found[sector] != expected[sector])[0])
        offset = place.offset + sector * SECTOR_BYTES + word * 8
        return CorruptDataError(
            "verifying",
            place.path,
            f"at offset {offset} expected {expected[sector, word]:016x}, found "
            f"{found[sector, word]:016x}; {len(differing)} of {len(found)} sectors of this chunk "
            f"differ; the first of them {_whose(found[sector], place)}",
            hint="The storage returned other data than was written there",
        )


def _whose(found: NDArray[np.uint64], place: ChunkPlace) -> str:
    if not found.any():
        return "is all zeros"
    if int(found[0]) == place.identity:
        return f"bears the stamp of sector {int(found[1])} of the same entry"
    return f"bears no stamp of this entry (seen {int(found[0]):016x})"


def _mix(numbers: NDArray[np.uint64], identity: int) -> NDArray[np.uint64]:
    """SplitMix64's output function (Steele, Lea, Flood, OOPSLA 2014), started at `identity`."""
    mixed = numbers * _GOLDEN + np.uint64(identity)
    mixed ^= mixed >> np.uint64(30)
    mixed *= _MIX_1
    mixed ^= mixed >> np.uint64(27)
    mixed *= _MIX_2
    mixed ^= mixed >> np.uint64(31)
    return mixed
