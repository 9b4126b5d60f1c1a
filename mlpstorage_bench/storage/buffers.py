"""Memory that direct I/O accepts."""

from __future__ import annotations

import mmap
from collections import deque

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

    def __init__(self, size: int) -> None:
        if size < SECTOR_BYTES or size % SECTOR_BYTES:
            raise ValueError(f"size: got {size}; accepted: a multiple of {SECTOR_BYTES}")
        self.size = size
        self._map = mmap.mmap(-1, size)
        self.bytes = memoryview(self._map)
        self.sectors: NDArray[np.uint64] = np.frombuffer(self._map, dtype=np.uint64).reshape(
            -1, WORDS_PER_SECTOR
        )
        """The same memory: a row per sector, 64-bit words."""
        self.address: int = self.sectors.ctypes.data


RESTING_BYTES = 16 << 20
"""What a pool has beside the buffers in use."""


class BufferPool:
    """Buffers in turn, shared by threads: to fill, the one that has rested longest comes next.

    Memory that a device has just read or written costs several times more to write again, while
    other processors' caches still have it; after some MiB of others' turns it does not. To read
    into, the one that was used last is the best: those caches have it, and the kernel's pages.
    """

    def __init__(self, chunk_bytes: int, in_use: int) -> None:
        count = in_use + RESTING_BYTES // chunk_bytes
        self._resting = deque(AlignedBuffer(chunk_bytes) for _ in range(count))

    def take(self) -> AlignedBuffer:
        """Return a buffer to fill: no more than `in_use` are out at once."""
        return self._resting.popleft()

    def take_to_read(self) -> AlignedBuffer:
        """Return a buffer to read into."""
        return self._resting.pop()

    def put(self, buffer: AlignedBuffer) -> None:
        """Let a buffer rest."""
        self._resting.append(buffer)
