"""Limits of memory and processor time for a part of a test."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST_MEMORY = 500 << 20
MOST_CPU_S = 10.0
"""Several times what the slowest input takes, so that only an input without end exceeds it."""


class TooLongError(AssertionError):
    """A part of a test has used its processor time."""


@contextmanager
def bounded(memory: int = MOST_MEMORY, cpu_s: float = MOST_CPU_S) -> Iterator[None]:
    """Limit what this process may allocate in addition, and the processor time that it may use.

    Beyond, the code inside gets MemoryError or TooLongError. Waiting takes no processor time.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + memory, hard))
    former = signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _stop(_number: int, _frame: object) -> None:
    raise TooLongError("this input takes too long")
