"""Standard error of the parent: its own lines, and the output of ranks on other hosts."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mlpstorage_bench.launch.status_channel import StatusReader

_LATE_S = 5.0
"""Time in seconds for output that is still in the pipe when the launcher has ended."""


@contextmanager
def forward_stderr(source: int | None, status_reader: StatusReader) -> Iterator[None]:
    """Forward the ranks' standard error, a pipe that is closed at its end, without status lines."""
    if source is None:
        yield
        return

    def forward() -> None:
        while part := os.read(source, 65536):
            write(status_reader.strip_status_lines(part))
        os.close(source)
        write(status_reader.strip_status_lines(b"\n")[:-1])

    thread = threading.Thread(target=forward, daemon=True)
    thread.start()
    yield
    thread.join(_LATE_S)


def write(data: bytes) -> None:
    """Write to standard error; ignore errors, for example of a closed terminal."""
    while data:
        try:
            data = data[os.write(2, data) :]
        except BlockingIOError:
            select.select([], [2], [])
        except OSError:
            return
