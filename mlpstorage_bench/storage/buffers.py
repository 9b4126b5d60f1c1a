"""Page-aligned memory for direct I/O."""

from __future__ import annotations

import mmap
from collections import deque
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SECTOR_BYTES = 4096
"""Unit of content, and of alignment where direct I/O needs no larger one."""
WORDS_PER_SECTOR = SECTOR_BYTES // 8


def round_up_to_sector(size: int, alignment_bytes: int = SECTOR_BYTES) -> int:
    """Return `size` rounded up to whole sectors, or to a multiple of them."""
    return -(-size // alignment_bytes) * alignment_bytes


class AlignedBuffer:
    """Page-aligned memory for one chunk, allocated once and reused."""

    def __init__(self, size: int, memory: memoryview | None = None) -> None:
        """Use `memory` (page-aligned, `size` bytes), or allocate it."""
        if size < SECTOR_BYTES or size % SECTOR_BYTES:
            raise ValueError(f"size: got {size}; accepted: a multiple of {SECTOR_BYTES}")
        self.size = size
        self.bytes = memoryview(mmap.mmap(-1, size)) if memory is None else memory
        self.sectors: NDArray[np.uint64] = np.frombuffer(self.bytes, dtype=np.uint64).reshape(
            -1, WORDS_PER_SECTOR
        )
        """The same memory as 64-bit words, one row per sector."""
        self.stamps: NDArray[np.uint64] = self.sectors[:, 0]
        """Each sector's first word."""
        self.address: int = self.sectors.__array_interface__["data"][0]


HUGE_PAGE_BYTES = 2 << 20
IDLE_BYTES = 16 << 20
"""Memory of a pool beside the buffers in use."""


class BufferPool:
    """Buffers shared by threads; the buffer that has been idle longest is used next.

    Chunks thus move from and to memory that is in no processor cache, as in an engine with far more
    memory. Refilling memory right after a device has accessed it costs several times more, and some
    devices vary in speed when they write to memory that has just been checked.

    Buffers are in huge pages if the kernel has them: a direct transfer then costs much less CPU
    time, as it is one segment instead of 256 per MiB.
    """

    def __init__(self, chunk_bytes: int, in_use: int) -> None:
        count = in_use + IDLE_BYTES // chunk_bytes
        self.memory = memory = _huge_memory(count * chunk_bytes)
        """The memory of all buffers."""
        self._idle = deque(
            AlignedBuffer(chunk_bytes, memory[begin : begin + chunk_bytes])
            for begin in range(0, len(memory), chunk_bytes)
        )
        self._address = self._idle[0].address

    @cached_property
    def huge_page_share(self) -> float | None:
        """Share of the buffers' memory in huge pages; None if the kernel does not report it.

        It is read once, when first asked for: the kernel goes through all memory of the process.
        """
        return _huge_page_share(self._address)

    def take(self) -> AlignedBuffer:
        """Return a buffer; callers hold at most `in_use` at once."""
        return self._idle.popleft()

    def put(self, buffer: AlignedBuffer) -> None:
        """Return a buffer to the pool."""
        self._idle.append(buffer)


def aligned_buffer(size: int) -> AlignedBuffer:
    """Return a buffer whose address is a multiple of any alignment that direct I/O may need."""
    return AlignedBuffer(size, _huge_memory(size)[:size])


def _huge_memory(size: int) -> memoryview:
    """Return zeroed, page-aligned memory, in huge pages if the kernel provides them."""
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # shared memory has other huge page rules
    whole_pages = -(-size // HUGE_PAGE_BYTES) + 1
    area = mmap.mmap(-1, whole_pages * HUGE_PAGE_BYTES, flags=private)
    with suppress(OSError):  # no support: the share shows it
        area.madvise(mmap.MADV_HUGEPAGE)
    address = np.frombuffer(area, dtype=np.uint8).ctypes.data
    begin = -address % HUGE_PAGE_BYTES
    memory = memoryview(area)[begin : begin + size]
    np.frombuffer(memory, dtype=np.uint8)[:: mmap.PAGESIZE] = 0  # fault in now, not while measuring
    return memory


def _huge_page_share(address: int) -> float | None:
    """Return the share of the mapping at this address that is in huge pages (proc(5), smaps)."""
    try:
        lines = Path("/proc/self/smaps").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    is_mapping = False
    resident_kib = 0
    for line in lines:
        name, *values = line.split()
        if not name.endswith(":"):
            begin, _, end = name.partition("-")
            is_mapping = int(begin, 16) <= address < int(end, 16)
        elif is_mapping and name == "Rss:":
            resident_kib = int(values[0])
        elif is_mapping and name == "AnonHugePages:":
            return int(values[0]) / resident_kib if resident_kib else None
    return None
