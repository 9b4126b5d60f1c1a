"""Output of the parent: its own lines, and what its launcher and the ranks write.

It is forwarded as it comes, and a copy of it goes to the run's directory.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from mlpstorage_bench.launch.output_log import OutputLog
from mlpstorage_bench.launch.status_channel import StatusReader

_LATE_S = 5.0
"""Time in seconds for output that is still in the pipe when the launcher has ended."""


@contextmanager
def forward_output(
    stdout: int, stderr: int, status_reader: StatusReader, log_path: Callable[[str], str | None]
) -> Iterator[None]:
    """Forward the launcher's output, two pipes that are closed at its end, without status lines.

    `log_path` returns the file for the copy of `stdout` or `stderr`; None as long as none is known.
    """
    logs = {name: OutputLog(partial(log_path, name)) for name in ("stdout", "stderr")}

    def forward_stdout() -> None:
        for part in _parts(stdout):
            write(part, 1)
            logs["stdout"].add(part)

    def forward_stderr() -> None:
        for part in _parts(stderr):
            passed = status_reader.strip_status_lines(part)
            write(passed)
            logs["stderr"].add(passed)
        passed = status_reader.strip_status_lines(b"\n")[:-1]
        write(passed)
        logs["stderr"].add(passed)

    threads = [
        threading.Thread(target=forward, daemon=True)
        for forward in (forward_stdout, forward_stderr)
    ]
    for thread in threads:
        thread.start()
    yield
    deadline = time.monotonic() + _LATE_S
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0.0))
    for name, log in logs.items():
        log.close()
        if log.problem:
            write(f"mlpstorage: {name} of the launch is not kept: {log.problem}\n".encode())


def _parts(source: int) -> Iterator[bytes]:
    while part := os.read(source, 65536):
        yield part
    os.close(source)


def write(data: bytes, descriptor: int = 2) -> None:
    """Write to standard error or output; ignore errors, for example of a closed terminal."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
        except OSError:
            return
