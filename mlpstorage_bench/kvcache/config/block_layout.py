"""Sizes of the blocks and chunks in which a workload's entries are stored."""

from __future__ import annotations

from collections.abc import Iterable

from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.storage.buffers import SECTOR_BYTES, round_up_to_sector
from mlpstorage_bench.storage.store import Chunking
from mlpstorage_bench.units import KIB


def block_bytes(workload: Workload, alignment_bytes: int = SECTOR_BYTES) -> int:
    """Return the size of a block or slot: the size of its tokens, in whole sectors.

    If the cache stores blocks (keyed_by prefix), `entry_scale` applies to them.
    """
    tokens = workload.tokens_per_block
    is_entry = workload.keyed_by == "prefix"
    size = workload.entry_bytes(tokens) if is_entry else tokens * workload.bytes_per_token
    return round_up_to_sector(size, alignment_bytes)


def chunking(workload: Workload, alignment_bytes: int = SECTOR_BYTES) -> Chunking:
    """Return the division of entries into system calls."""
    chunk_bytes = workload.io_chunk_kib * KIB
    is_whole = workload.layout == "entry"
    return Chunking(chunk_bytes, None if is_whole else block_bytes(workload, alignment_bytes))


def units_of(workload: Workload, alignment_bytes: int) -> tuple[int, ...]:
    """Return the bytes to multiples of which an entry is rounded up, one after the other."""
    if workload.layout != "slab":
        return (alignment_bytes,)
    return (alignment_bytes, block_bytes(workload, alignment_bytes))


def in_units(size: int, units: Iterable[int]) -> int:
    """Return the size rounded up to each of the units in turn."""
    for unit in units:
        size = -(-size // unit) * unit
    return size
