"""Memory that direct I/O accepts."""

from __future__ import annotations

import mmap
from collections import deque
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SECTOR_BYTES = 4096
"""Unit of alignment and of content: no device that we know needs more for direct I/O."""
WORDS_PER_SECTOR = SECTOR_BYTES // 8


def round_up_to_sector(size: int) -> int:
    """Return the least multiple of a sector that holds `size` bytes."""
    return -(-size // SECTOR_BYTES) * SECTOR_BYTES


class AlignedBuffer:
    """One chunk's worth of page-aligned memory, allocated once and used for every operation."""

    def __init__(self, size: int, memory: memoryview | None = None) -> None:
        """Use `memory`, page-aligned and of that size, or memory of its own."""
        if size < SECTOR_BYTES or size % SECTOR_BYTES:
            raise ValueError(f"size: got {size}; accepted: a multiple of {SECTOR_BYTES}")
        self.size = size
        self.bytes = memoryview(mmap.mmap(-1, size)) if memory is None else memory
        self.sectors: NDArray[np.uint64] = np.frombuffer(self.bytes, dtype=np.uint64).reshape(
            -1, WORDS_PER_SECTOR
        )
        """The same memory: a row per sector, 64-bit words."""
        self.address: int = self.sectors.ctypes.data


HUGE_PAGE_BYTES = 2 << 20
RESTING_BYTES = 16 << 20
"""What a pool has beside the buffers in use."""


class BufferPool:
    """Buffers in turn, shared by threads: the one that has rested longest comes next.

    So chunks move from and to memory that no processor's cache holds, as in an engine with far more
    of it. Memory that a device has just had costs several times more to fill again; and some
    devices are fast or slow by turns where they write to memory that has just been checked.

    They lie in huge pages where the kernel has these: a direct transfer then takes a fraction of
    the work, as it is one piece of memory, and not 256 to the MiB.
    """

    def __init__(self, chunk_bytes: int, in_use: int) -> None:
        count = in_use + RESTING_BYTES // chunk_bytes
        memory = _huge_memory(count * chunk_bytes)
        self._resting = deque(
            AlignedBuffer(chunk_bytes, memory[begin : begin + chunk_bytes])
            for begin in range(0, len(memory), chunk_bytes)
        )
        self.huge_page_share = _huge_page_share(self._resting[0].address)
        """Of the buffers' memory; None where the kernel does not say."""

    def take(self) -> AlignedBuffer:
        """Return a buffer: no more than `in_use` are out at once."""
        return self._resting.popleft()

    def put(self, buffer: AlignedBuffer) -> None:
        """Let a buffer rest."""
        self._resting.append(buffer)


def _huge_memory(size: int) -> memoryview:
    """Return zeroed memory that begins with a page, a huge one if the kernel has any for us."""
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # shared memory has huge pages of its own rule
    whole_pages = -(-size // HUGE_PAGE_BYTES) + 1
    area = mmap.mmap(-1, whole_pages * HUGE_PAGE_BYTES, flags=private)
    with suppress(OSError):  # a kernel without: the share says so
        area.madvise(mmap.MADV_HUGEPAGE)
    address = np.frombuffer(area, dtype=np.uint8).ctypes.data
    begin = -address % HUGE_PAGE_BYTES
    memory = memoryview(area)[begin : begin + size]
    np.frombuffer(memory, dtype=np.uint8)[:: mmap.PAGESIZE] = 0  # have it now, not while measuring
    return memory


def _huge_page_share(address: int) -> float | None:
    """Return how much of what is resident around this address is in huge pages (proc(5), smaps)."""
    try:
        lines = Path("/proc/self/smaps").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    is_here = False
    resident_kib = 0
    for line in lines:
        name, *values = line.split()
        if not name.endswith(":"):
            begin, _, end = name.partition("-")
            is_here = int(begin, 16) <= address < int(end, 16)
        elif is_here and name == "Rss:":
            resident_kib = int(values[0])
        elif is_here and name == "AnonHugePages:":
            return int(values[0]) / resident_kib if resident_kib else None
    return None
