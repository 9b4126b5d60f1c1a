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
"""Seconds without output after which it is complete, when the launcher has ended.

A process that a rank has left may hold the pipe. Who reads this output may take any time.
"""
_POLL_S = 0.05


@contextmanager
def forward_output(
    stdout: int, stderr: int, status_reader: StatusReader, log_path: Callable[[str], str | None]
) -> Iterator[None]:
    """Forward the launcher's output, two pipes that are closed at its end, without status lines.

    `log_path` returns the file for the copy of `stdout` or `stderr`; None as long as none is known.
    """
    logs = {name: OutputLog(partial(log_path, name)) for name in ("stdout", "stderr")}
    outputs = (
        _Forwarding(stdout, 1, logs["stdout"], lambda part: part),
        _Forwarding(stderr, 2, logs["stderr"], status_reader.strip_status_lines),
    )
    for output in outputs:
        output.start()
    yield
    for output in outputs:
        output.wait()
    for name, log in logs.items():
        log.close()
        if log.problem:
            write(f"mlpstorage: {name} of the launch is not kept: {log.problem}\n".encode())


class _Forwarding(threading.Thread):
    """Forwards one output until nobody holds its pipe any more."""

    def __init__(
        self, source: int, target: int, log: OutputLog, passed: Callable[[bytes], bytes]
    ) -> None:
        super().__init__(daemon=True)
        self._source, self._target = source, target
        self._log, self._passed = log, passed
        self._is_writing = False
        self._wrote_at = time.monotonic()

    def run(self) -> None:
        for part in _parts(self._source):
            self._forward(self._passed(part))
        self._forward(self._passed(b"\n")[:-1])  # a line without an end may wait for it

    def _forward(self, data: bytes) -> None:
        self._is_writing = True
        write(data, self._target)
        self._wrote_at, self._is_writing = time.monotonic(), False
        self._log.add(data)

    def wait(self) -> None:
        """Wait for the end, or until there is no more output; for its reader as long as it takes.

        Call it when the launcher has ended.
        """
        began = time.monotonic()
        while self.is_alive():
            self.join(_POLL_S)
            quiet_s = time.monotonic() - max(began, self._wrote_at)
            if not self._is_writing and quiet_s > _LATE_S:
                return


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
