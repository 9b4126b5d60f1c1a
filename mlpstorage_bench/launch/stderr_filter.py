"""The parent's standard error: its own lines, and what the ranks on other hosts write to theirs."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from mlpstorage_bench.launch.status_channel import StatusReader

_LATE_S = 5.0
"""For what is still on its way when the launcher has ended; another process may hold it open."""


@contextmanager
def forward_stderr(source: IO[bytes] | None, status_reader: StatusReader) -> Iterator[None]:
    """Pass on what arrives on the ranks' standard error, without the status lines in it."""
    if source is None:
        yield
        return

    def pass_on() -> None:
        with source:
            while part := os.read(source.fileno(), 65536):
                write(status_reader.strip_status_lines(part))
        write(status_reader.strip_status_lines(b"\n")[:-1])

    thread = threading.Thread(target=pass_on, daemon=True)
    thread.start()
    yield
    thread.join(_LATE_S)


def write(data: bytes) -> None:
    """Write to standard error; nothing where nobody reads it any more, as after a hang-up."""
    while data:
        try:
            data = data[os.write(2, data) :]
        except BlockingIOError:
            select.select([], [2], [])
        except OSError:
            return
