"""Interface of what a queue moves: chunks of an entry that is stored in files."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from mlpstorage_bench.storage.kernel_queue import Prepare


class MovedFile(Protocol):
    """An open file."""

    path: Path
    descriptor: int


class Mover(Protocol):
    """Says where an entry's chunks are, and is told when they were moved."""

    is_direct: bool
    """Whether the files bypass the page cache, so that any queue moves chunks concurrently."""
    is_uncached: bool
    """Whether its transfers leave nothing in the page cache."""
    writes_back: bool
    """Whether a written chunk is done when its pages were written back."""
    counts_at_sync: bool
    """Whether a written chunk is only `cached`."""

    prepare: Prepare
    """Function of the queue that moves its chunks; set by the queue, if there is one."""

    def place(self, offset: int) -> tuple[MovedFile, int]:
        """Return the open file, and the offset in it, of the chunk at `offset` of the entry."""
        ...

    def moved(
        self, size: int, offset: int, started_ns: int, ended_ns: int, late_ns: int = 0
    ) -> None:
        """Note a completely moved chunk."""
        ...

    def cached(
        self, size: int, offset: int, started_ns: int, ended_ns: int, late_ns: int = 0
    ) -> None:
        """Note a chunk that was written to the page cache."""
        ...
