"""Buffers: alignment and huge pages."""

from __future__ import annotations

import itertools
import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from mlpstorage_bench.storage.buffers import IDLE_BYTES, BufferPool
from mlpstorage_bench.units import MIB

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.slow
@pytest.mark.parametrize(("chunk_bytes", "in_use"), [(4096, 1), (12288, 3), (MIB, 17)])
def test_buffers_are_page_aligned_and_disjoint(chunk_bytes: int, in_use: int) -> None:
    pool = BufferPool(chunk_bytes, in_use)
    buffers = [pool.take() for _ in range(in_use + IDLE_BYTES // chunk_bytes)]
    begins = sorted(buffer.address for buffer in buffers)
    assert all(begin % mmap.PAGESIZE == 0 for begin in begins)
    assert all(b - a >= chunk_bytes for a, b in itertools.pairwise(begins))
    assert {len(buffer.bytes) for buffer in buffers} == {chunk_bytes}
    for number, buffer in enumerate(buffers):
        buffer.sectors[:] = number
    assert all((buffer.sectors == number).all() for number, buffer in enumerate(buffers))


@pytest.mark.skipif(
    not HUGE_PAGES.exists() or "[never]" in HUGE_PAGES.read_text(),
    reason="this kernel provides no huge pages",
)
def test_buffers_use_huge_pages() -> None:
    before = _huge_kib()
    pool = BufferPool(MIB, 16)
    given = _huge_kib() - before
    assert pool.huge_page_share is not None
    assert given > 0
    assert pool.huge_page_share == pytest.approx(given / (32 * 1024), abs=0.07)


def test_huge_page_share_is_zero_where_process_may_not_use_them() -> None:
    """PR_SET_THP_DISABLE of prctl(2) is 41."""
    code = """if True:
        import ctypes
        assert ctypes.CDLL(None).prctl(41, 1, 0, 0, 0) == 0
        from mlpstorage_bench.storage.buffers import BufferPool
        print(BufferPool(1 << 20, 1).huge_page_share)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0.0\n"


def _huge_kib() -> int:
    rollup = Path("/proc/self/smaps_rollup").read_text().splitlines()
    (line,) = (line for line in rollup if line.startswith("AnonHugePages:"))
    return int(line.split()[1])
