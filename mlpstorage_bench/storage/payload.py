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

from mlpstorage_bench.errors import CorruptDataError
from mlpstorage_bench.storage.buffers import (
    SECTOR_BYTES,
    WORDS_PER_SECTOR,
    AlignedBuffer,
    aligned_buffer,
)
from mlpstorage_bench.storage.stamps import (
    GOLDEN,
    MAX_SECTORS,
    MOST_FIRST,
    MOST_STAMPS,
    WORD,
    FirstStamps,
    Words,
    describe_stamp,
    stamps_of,
    stamps_of_numbers,
)
from mlpstorage_bench.storage.store import Location

STAMP_WORDS = 1
POOL_SECTORS = 256
BATCHES = (MOST_STAMPS, 4 * POOL_SECTORS, POOL_SECTORS)
"""Stamps are made for up to 16 MiB of an entry at once, not for each chunk; for no more sectors
than precede them, as its size is unknown. Each number divides the one before it."""
SHARED_UNITS = 16
"""Number of 64 KiB units that are copied: 1 MiB, negligible for an array's capacity."""
SECTORS_PER_UNIT = 16
"""Copies are aligned runs of this many sectors, which deduplication with blocks of 4 to 64 KiB
finds."""
_OF_GENERATION = MAX_SECTORS * GOLDEN % WORD
_MASK = WORD - 1


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
        self._origin = f"{origin}\0".encode("utf-8", "surrogatepass")
        self.pool: Words = aligned_buffer(POOL_SECTORS * SECTOR_BYTES).sectors
        self.pool[...] = np.random.default_rng(seed).integers(
            0, 2**64, size=(POOL_SECTORS, WORDS_PER_SECTOR), dtype=np.uint64
        )
        self.filled_words = max(STAMP_WORDS, round(WORDS_PER_SECTOR / compress_ratio))
        self.filled_pool: Words = self.pool[:, : self.filled_words]
        self.first_rows = [self.filled_pool[:count] for count in range(POOL_SECTORS + 1)]
        """First rows of the pool, by their number."""
        self.first_stamps = FirstStamps()
        self.copied_share = 1 - 1 / dedup_ratio
        self.shared_identity = self.identity("copies shared by all entries", generation=0)
        self.run_sectors = SECTORS_PER_UNIT if self.copied_share else POOL_SECTORS
        """Consecutive sectors with the same key, and rows of the pool that follow each other."""
        self.first_bytes = 0 if self.copied_share else min(POOL_SECTORS, MOST_FIRST) * SECTOR_BYTES
        """Up to this size, an entry's first chunk needs no batch."""

    def identity(self, name: str, generation: int) -> int:
        """Return the stamp of an entry: what its content is a function of, in 64 bits."""
        origin = self._origin + name.encode("utf-8", "surrogatepass")
        named: int = xxhash.xxh3_64_intdigest(origin, self._seed)
        return (named + generation * _OF_GENERATION) & _MASK

    def content(self, identity: int) -> Content:
        """Return the content of the entry with this stamp."""
        return Content(self, identity)

    @staticmethod
    def digest(buffer: AlignedBuffer, size: int) -> int:
        """Return the digest of the buffer's first `size` bytes."""
        return xxhash.xxh3_64_intdigest(
            buffer.bytes if size == buffer.size else buffer.bytes[:size]
        )

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
                f"the content at offset {place.offset} is correct, but its digest is not: that was "
                "changed since the write, in the memory of this process or in the file that keeps "
                "the digests",
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
    """Stamps, rows and keys of consecutive sectors of an entry, cached for several chunks.

    Keys are one per run of `Payload.run_sectors`.
    """

    first: int
    """Number of the first sector; a multiple of the pool's size."""
    stamps: Words
    keys: Words
    rows: list[int] | None
    """First row in the pool of each run; None without copies: all 0."""


class Content:
    """Content of one entry; any thread can make any part of it."""

    __slots__ = ("_identity", "_last", "_payload")

    def __init__(self, payload: Payload, identity: int) -> None:
        self._payload = payload
        self._identity = identity
        self._last: _Batch | None = None

    def fill(self, buffer: AlignedBuffer, size: int, offset: int) -> None:
        """Fill the buffer's first `size` bytes with the content that starts at `offset`.

        Both are multiples of the sector size.
        """
        payload = self._payload
        if offset or size > payload.first_bytes:
            self.make(buffer.sectors[: size // SECTOR_BYTES], offset)
            return
        count = size // SECTOR_BYTES
        sectors, column = buffer.sectors, buffer.stamps
        if size != buffer.size:
            sectors, column = sectors[:count], column[:count]
        filled = payload.filled_words
        if filled < WORDS_PER_SECTOR:
            sectors[:, filled:] = 0
            sectors = sectors[:, :filled]
        first = payload.first_stamps.here
        stamps = first.make(self._identity, count)
        np.bitwise_xor(payload.first_rows[count], first.key, sectors)
        column[...] = stamps

    def make(self, sectors: Words, offset: int) -> None:
        """Fill the sectors with the content that starts at `offset`."""
        payload = self._payload
        filled, run_sectors, pool = payload.filled_words, payload.run_sectors, payload.filled_pool
        if filled < WORDS_PER_SECTOR:
            sectors[:, filled:] = 0
            sectors = sectors[:, :filled]
        first, total = offset // SECTOR_BYTES, len(sectors)
        done = 0
        while done < total:  # run by run
            batch = self._batch(first + done, total)
            begin = first + done - batch.first
            run, within = divmod(begin, run_sectors)
            count = min(run_sectors - within, total - done)
            row = within if batch.rows is None else batch.rows[run] + within
            part = sectors[done : done + count]
            np.bitwise_xor(pool[row : row + count], batch.keys[run, ...], part)
            part[:, 0] = batch.stamps[begin : begin + count]
            done += count

    def _batch(self, sector: int, wanted: int) -> _Batch:
        """Return the batch that contains this sector, of a chunk of so many sectors."""
        last = self._last
        if last is None or not 0 <= sector - last.first < len(last.stamps):
            last = self._last = self._make_batch(sector, wanted)
        return last

    def _make_batch(self, sector: int, wanted: int) -> _Batch:
        if sector:
            count = next((batch for batch in BATCHES if batch <= sector), POOL_SECTORS)
        else:
            count = min(wanted, POOL_SECTORS)
        first = sector - sector % count
        if self._payload.copied_share:
            return self._with_copies(first, count)
        stamps = stamps_of(self._identity, first, count)
        return _Batch(first, stamps, stamps[::POOL_SECTORS], rows=None)

    def _with_copies(self, first: int, count: int) -> _Batch:
        """Return a batch in which some units are copies from the shared set."""
        shared = np.uint64(self._payload.shared_identity)
        mine = np.uint64(self._identity)
        first_unit = first // SECTORS_PER_UNIT
        units = np.arange(first_unit, first_unit - (-count // SECTORS_PER_UNIT), dtype=np.uint64)
        draws = stamps_of_numbers(units, np.full_like(units, mine ^ shared))
        is_copy = (draws >> np.uint64(11)) * 2.0**-53 < self._payload.copied_share
        sources = np.where(is_copy, draws % np.uint64(SHARED_UNITS), units)
        sources *= np.uint64(SECTORS_PER_UNIT)
        identities = np.where(is_copy, shared, mine)
        numbers = sources[:, None] + np.arange(SECTORS_PER_UNIT, dtype=np.uint64)
        rows = sources % np.uint64(POOL_SECTORS)
        return _Batch(
            first,
            stamps_of_numbers(numbers, identities[:, None]).ravel(),
            stamps_of_numbers(sources - rows, identities),
            rows.tolist(),
        )
