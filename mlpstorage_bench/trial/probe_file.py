"""A file that is written and read to see which of the kernel's counters change."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlpstorage_bench.measure.counters import Counter, Traffic
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.storage.buffers import aligned_buffer
from mlpstorage_bench.storage.files import DATA_SUFFIX, FileIo, IoMode, remove


def moved_by_probe(
    counters: Sequence[Counter[Any] | None], directory: Path, io_mode: IoMode, size: int
) -> list[Traffic | None]:
    """Write and read a file of `size` bytes, and return how far each counter increased.

    None for one that is None, or could not be read.
    """
    before = [None if counter is None else counter.read() for counter in counters]
    _write_and_read(directory, io_mode, size)
    after = [None if counter is None else counter.read() for counter in counters]
    return [
        None if first is None or last is None else last.traffic - first.traffic
        for first, last in zip(before, after, strict=True)
    ]


def _write_and_read(directory: Path, io_mode: IoMode, size: int) -> None:
    buffer = aligned_buffer(size)
    buffer.bytes[:] = os.urandom(size)  # what can be compressed would move as fewer bytes
    path = directory / f".audit-probe{DATA_SUFFIX}"
    file = FileIo(io_mode).create(path, size)
    try:
        try:
            file.write(buffer.bytes, 0)
            file.make_durable(Recorder(Window()).observe("storage", "write", size))
            file.drop_cached_pages()
            file.read(buffer.bytes, 0)
        finally:
            file.close()
    finally:
        remove(path)
