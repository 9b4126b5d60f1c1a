"""Sizes of the blocks and chunks in which a workload's entries are stored."""

from __future__ import annotations

from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.storage.buffers import round_up_to_sector
from mlpstorage_bench.storage.store import Chunking
from mlpstorage_bench.units import KIB


def block_bytes(workload: Workload) -> int:
    """Return the size of a block or slot: the size of its tokens, in whole sectors.

    If the cache stores blocks (keyed_by prefix), `entry_scale` applies to them.
    """
    tokens = workload.tokens_per_block
    is_entry = workload.keyed_by == "prefix"
    size = workload.entry_bytes(tokens) if is_entry else tokens * workload.bytes_per_token
    return round_up_to_sector(size)


def chunking(workload: Workload) -> Chunking:
    """Return the division of entries into system calls."""
    chunk_bytes = workload.io_chunk_kib * KIB
    return Chunking(chunk_bytes, None if workload.layout == "entry" else block_bytes(workload))
