"""Memory that direct I/O accepts."""

from __future__ import annotations

import mmap

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
