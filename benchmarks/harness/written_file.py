"""A file that has been written once, as a filesystem is slow where a file never was."""

from __future__ import annotations

import os
from pathlib import Path

from mlpstorage_bench.units import MIB

_PIECE_BYTES = 4 * MIB


def write_once(path: Path, size: int) -> None:
    """Fill an existing file with zeros, on storage, so that no later write changes its extents."""
    piece = bytes(_PIECE_BYTES)
    with path.open("r+b", buffering=0) as file:
        for offset in range(0, size, _PIECE_BYTES):
            file.write(piece[: size - offset])
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
