"""Division of a file into chunks that do not cross the ends of its tensors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from mlpstorage_bench.storage.buffers import round_up_to_sector
from mlpstorage_bench.storage.store import Chunk, Chunking


@dataclass(frozen=True)
class PartChunking(Chunking):
    """Chunks of one file, whose parts begin at whole units of direct I/O.

    Each part is moved by calls of its own, as programs write one tensor after another; what is
    left of its last unit is filled up.
    """

    parts: tuple[int, ...] = ()
    """Sizes of the parts in bytes, in order."""
    alignment_bytes: int = 4096

    @cached_property
    def _all(self) -> tuple[Chunk, ...]:
        chunks: list[Chunk] = []
        begin = 0
        for size in self.parts:
            end = begin + round_up_to_sector(size, self.alignment_bytes)
            for offset in range(begin, end, self.chunk_bytes):
                chunks.append(Chunk(len(chunks), offset, min(self.chunk_bytes, end - offset)))
            begin = end
        return tuple(chunks)

    @cached_property
    def stored_bytes(self) -> int:
        """Size of the file."""
        return sum(round_up_to_sector(size, self.alignment_bytes) for size in self.parts)

    def chunks(self, size: int) -> Iterable[Chunk]:
        """Return the chunks of the file, in order; `size` is the file's."""
        self._check(size)
        return self._all

    def chunk(self, size: int, number: int) -> Chunk:
        """Return one of the chunks of the file by its number."""
        self._check(size)
        return self._all[number]

    def count(self, size: int) -> int:
        """Return the number of chunks of the file."""
        self._check(size)
        return len(self._all)

    def _check(self, size: int) -> None:
        if size != self.stored_bytes:
            raise ValueError(f"size: got {size}; accepted: {self.stored_bytes}, the file's")
