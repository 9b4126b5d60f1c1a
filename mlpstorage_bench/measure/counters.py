"""Reading a file of kernel counters, with the moment that its figures are of."""

from __future__ import annotations

import os
import time

_ENOUGH_BYTES = 4096


def read_counters(path: str) -> tuple[str, int]:
    """Return a file's text and when the kernel made it (perf_counter_ns).

    The kernel counts when it is read, right after the time is taken: the thread gives up Python's
    lock for the call, and may have to wait for it afterwards for milliseconds, in which the other
    threads move data.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        moment_ns = time.perf_counter_ns()
        text = os.read(descriptor, _ENOUGH_BYTES).decode("ascii")
    finally:
        os.close(descriptor)
    return text, moment_ns
