"""Content of entries: a function of (seed, origin, name, generation, sector), checked when read.

The origin identifies the writer: a rank in a trial. The generation grows with every entry that it
writes. No content is thus written twice, and after a lost write the old content is recognized as
wrong, whether it is from an earlier entry, trial or run.

An entry consists of runs of 1 MiB: a pool of random sectors combined by XOR with the run's key. No
two sectors have a word in common, so neither compression nor deduplication finds anything at any
block size. A sector's first word is its stamp: the identity of (seed, origin, name, generation) and
the number of the sector within the entry, mixed by an invertible function, so that generation and
number can be recovered from it. A run's key is the stamp of its first sector.

With a `compress_ratio` of r, the last 1 - 1/r of each sector is zeros. With a `dedup_ratio` of d,
1 - 1/d of the entry's 64 KiB units are copies from a small set that all entries of the origin
share; they have the stamps of the set.

A chunk's XXH3-64 digest is computed when it is written, and compared when it is read; this covers
every byte at memory speed. Only after a mismatch is the content made again, to find the place and
kind of the difference.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from mlpstorage_bench.errors import CorruptDataError
from mlpstorage_bench.storage.buffers import SECTOR_BYTES, WORDS_PER_SECTOR, AlignedBuffer
from mlpstorage_bench.storage.store import Location

STAMP_WORDS = 1
POOL_SECTORS = 256
BATCH_SECTORS = 16 * POOL_SECTORS
"""Stamps are made for 16 MiB of an entry at once (32 KiB of stamps), not for each chunk."""
SHARED_UNITS = 16
"""Number of 64 KiB units that are copied: 1 MiB, negligible for an array's capacity."""
SECTORS_PER_UNIT = 16
"""Copies are aligned runs of this many sectors, which deduplication with blocks of 4 to 64 KiB
finds."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_WORD = 1 << 64
_MAX_SECTORS = 1 << 30
"""Largest entry in sectors: 4 TiB."""
_KNOWN_GENERATIONS = 1 << 24
"""Stamps of up to this many earlier generations are recognized; a random word is mistaken for one
with a probability of 1/1000."""

Words = NDArray[np.uint64]


class Payload:
    """Makes the content of entries, and describes corrupt content."""

    def __init__(
        self,
        seed: int,
        *,
        origin: str = "",
        compress_ratio: float = 1.0,
        dedup_ratio: float = 1.0,
    ) -> None:
        self._seed = seed
        self._origin = origin
        self.pool: Words = np.random.default_rng(seed).integers(
            0, 2**64, size=(POOL_SECTORS, WORDS_PER_SECTOR), dtype=np.uint64
        )
        self.filled_words = max(STAMP_WORDS, round(WORDS_PER_SECTOR / compress_ratio))
        self.copied_share = 1 - 1 / dedup_ratio
        self.shared_identity = self.identity("copies shared by all entries", generation=0)

    def identity(self, name: str, generation: int) -> int:
        """Return the stamp of an entry: what its content is a function of, in 64 bits."""
        origin = f"{self._origin}\0{name}".encode("utf-8", "surrogatepass")
        named = xxhash.xxh3_64_intdigest(origin, seed=self._seed)
        return (named + generation * _MAX_SECTORS * int(_GOLDEN)) % _WORD

    def content(self, identity: int) -> Content:
        """Return the content of the entry with this stamp."""
        return Content(self, identity)

    @staticmethod
    def digest(buffer: AlignedBuffer, size: int) -> int:
        """Return the digest of the buffer's first `size` bytes."""
        return xxhash.xxh3_64_intdigest(buffer.bytes[:size])

    def describe(
        self, buffer: AlignedBuffer, size: int, identity: int, offset: int, place: Location
    ) -> CorruptDataError:
        """Return the error to raise for a chunk read from `place` whose digest does not match."""
        found = buffer.sectors[: size // SECTOR_BYTES]
        expected = np.empty_like(found)
        self.content(identity).make(expected, offset)
        differing = np.flatnonzero((found != expected).any(axis=1))
        if not len(differing):
            return CorruptDataError(
                "verifying",
                place.path,
                f"the digest computed when offset {place.offset} was written does not match, but "
                "the content is correct: this process's memory was corrupted",
            )
        sector = int(differing[0])
        word = int(np.flatnonzero(found[sector] != expected[sector])[0])
        at = place.offset + sector * SECTOR_BYTES + word * 8
        return CorruptDataError(
            "verifying",
            place.path,
            f"at offset {at} expected {expected[sector, word]:016x}, found "
            f"{found[sector, word]:016x}; {len(differing)} of {len(found)} sectors of this chunk "
            f"differ; the first of them {describe_stamp(found[sector], identity)}",
            hint="The storage returned other data than was written there",
        )


class _Batch(NamedTuple):
    """Stamps and keys of consecutive sectors of an entry, cached for several chunks."""

    first: int
    """Number of the first sector; a multiple of the batch's length."""
    stamps: Words
    copies: _Copies | None
    """None without deduplication."""


class _Copies(NamedTuple):
    """Row in the pool, and key of the source run, of each sector of a batch."""

    rows: NDArray[np.intp]
    keys: Words
    """Shape (sectors, 1)."""


class Content:
    """Content of one entry; any thread can make any part of it."""

    def __init__(self, payload: Payload, identity: int) -> None:
        self._payload = payload
        self._identity = identity
        self._last: _Batch | None = None

    def fill(self, buffer: AlignedBuffer, size: int, offset: int) -> None:
        """Fill the buffer's first `size` bytes with the content that starts at `offset`.

        Both are multiples of the sector size.
        """
        self.make(buffer.sectors[: size // SECTOR_BYTES], offset)

    def make(self, sectors: Words, offset: int) -> None:
        """Fill the sectors with the content that starts at `offset`."""
        filled = self._payload.filled_words
        if filled < WORDS_PER_SECTOR:
            sectors[:, filled:] = 0
        first = offset // SECTOR_BYTES
        done = 0
        while done < len(sectors):  # run by run
            row = (first + done) % POOL_SECTORS
            count = min(POOL_SECTORS - row, len(sectors) - done)
            batch = self._batch(first + done)
            begin = first + done - batch.first
            at = slice(begin, begin + count)
            rows: Words = self._payload.pool[row : row + count]
            key: np.uint64 | Words = batch.stamps[begin - row]
            if batch.copies is not None:
                rows, key = self._payload.pool[batch.copies.rows[at]], batch.copies.keys[at]
            part = sectors[done : done + count]
            if filled < WORDS_PER_SECTOR:
                rows, part = rows[:, :filled], part[:, :filled]
            np.bitwise_xor(rows, key, part)
            part[:, 0] = batch.stamps[at]
            done += count

    def _batch(self, sector: int) -> _Batch:
        """Return the batch that contains this sector."""
        first = sector // BATCH_SECTORS * BATCH_SECTORS
        last = self._last
        if last is None or last.first != first:
            last = self._last = self._make_batch(first)
        return last

    def _make_batch(self, first: int) -> _Batch:
        numbers = np.arange(first, first + BATCH_SECTORS, dtype=np.uint64)
        identities = np.full(BATCH_SECTORS, self._identity, dtype=np.uint64)
        if not self._payload.copied_share:
            return _Batch(first, _mix(numbers, identities), copies=None)
        numbers, identities = self._with_copies(numbers, identities)
        rows = numbers % np.uint64(POOL_SECTORS)
        copies = _Copies(rows.astype(np.intp), _mix(numbers - rows, identities)[:, None])
        return _Batch(first, _mix(numbers, identities), copies)

    def _with_copies(self, numbers: Words, identities: Words) -> tuple[Words, Words]:
        """Replace numbers and identities by those of the shared set in units that are copies."""
        shared = np.uint64(self._payload.shared_identity)
        units, within = np.divmod(numbers, np.uint64(SECTORS_PER_UNIT))
        draws = _mix(units, identities ^ shared)
        is_copy = (draws >> np.uint64(11)) * 2.0**-53 < self._payload.copied_share
        copied = draws % np.uint64(SHARED_UNITS) * np.uint64(SECTORS_PER_UNIT) + within
        return np.where(is_copy, copied, numbers), np.where(is_copy, shared, identities)


def describe_stamp(found: Words, identity: int) -> str:
    """Return a phrase that says to which entry a sector's stamp belongs."""
    if not found.any():
        return "is all zeros"
    later, number = divmod(_number(int(found[0]), identity), _MAX_SECTORS)
    if not later:
        return f"has the stamp of sector {number} of the same entry"
    if _WORD // _MAX_SECTORS - later <= _KNOWN_GENERATIONS:
        return f"has the stamp of sector {number} of an earlier entry of this name"
    return (
        f"has no stamp of this entry (seen {int(found[0]):016x}): it is from another entry, or "
        "from before this trial"
    )


def _mix(numbers: Words, identities: Words) -> Words:
    """SplitMix64's output function (Steele, Lea, Flood, OOPSLA 2014), seeded with `identities`."""
    mixed = numbers * _GOLDEN + identities
    mixed ^= mixed >> np.uint64(30)
    mixed *= _MIX_1
    mixed ^= mixed >> np.uint64(27)
    mixed *= _MIX_2
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _number(stamp: int, identity: int) -> int:
    """Return the number of the sector of this entry with this stamp: the inverse of `_mix`.

    Each later generation has numbers that are `_MAX_SECTORS` higher, modulo 2^64.
    """
    mixed = _unshift(stamp, 31) * pow(int(_MIX_2), -1, _WORD) % _WORD
    mixed = _unshift(mixed, 27) * pow(int(_MIX_1), -1, _WORD) % _WORD
    return (_unshift(mixed, 30) - identity) * pow(int(_GOLDEN), -1, _WORD) % _WORD


def _unshift(mixed: int, bits: int) -> int:
    """Return the x for which x ^ (x >> bits) is `mixed`."""
    x = mixed
    for _ in range(64 // bits):
        x = mixed ^ (x >> bits)
    return x
