"""A pool of buffers whose order a study chooses: rested longest first, or used last first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlpstorage_bench.storage.buffers import AlignedBuffer, BufferPool


class OrderedBuffers(BufferPool):
    """Buffers in the package's order, except within `used_last_first`."""

    _is_hot = False

    def put(self, buffer: AlignedBuffer) -> None:
        """Return a buffer to the pool: the next to be used if buffers are hot, else the last."""
        if self._is_hot:
            self._idle.appendleft(buffer)
        else:
            self._idle.append(buffer)

    @contextmanager
    def used_last_first(self) -> Iterator[None]:
        """Use the buffer that was used last next: it is in the cache, as fio's only buffer is."""
        self._is_hot = True
        try:
            yield
        finally:
            self._is_hot = False
