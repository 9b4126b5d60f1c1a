"""Buffers in pages of a kind: normal ones, or huge ones as in most runs."""

from __future__ import annotations

import mmap
from typing import Literal, get_args

import pytest

from mlpstorage_bench.storage.buffers import BufferPool

MemoryKind = Literal["huge pages", "normal pages"]
MEMORY_KINDS: tuple[MemoryKind, ...] = get_args(MemoryKind)


def pool_in(kind: MemoryKind, chunk_bytes: int, in_use: int) -> BufferPool:
    """Return a pool whose memory is in pages of this kind; skip where the kernel has none."""
    with pytest.MonkeyPatch.context() as patch:
        if kind == "normal pages":
            patch.setattr(mmap, "MADV_HUGEPAGE", mmap.MADV_NOHUGEPAGE)
        pool = BufferPool(chunk_bytes, in_use)
    share = pool.huge_page_share
    if kind == "huge pages" and not share:
        pytest.skip("this kernel provides no huge pages")
    assert share is None or (share > 0) == (kind == "huge pages")
    return pool
