"""Times of threads as the kernel keeps them: on a processor, and waiting for one."""

from __future__ import annotations

import os
import time
from pathlib import Path

_TASKS = Path("/proc/self/task")
_CPU_CLOCK_OF_THREAD = 6
"""Kind of the clock in the lowest bits of its number (kernel: CPUCLOCK_PERTHREAD, _SCHED)."""


def thread_ids() -> list[int]:
    """Return the kernel's ids of all threads of this process."""
    return [int(name) for name in os.listdir(_TASKS)]  # noqa: PTH208 - read at a window's edge


def cpu_ns(thread_id: int) -> int:
    """Return a thread's time on processors up to this moment; 0 for a thread that has ended.

    The clock of a thread includes what it ran since the last tick of its processor.
    """
    try:
        return time.clock_gettime_ns((~thread_id << 3) | _CPU_CLOCK_OF_THREAD)
    except OSError:
        return 0


def queued_ns(thread_id: int) -> int | None:
    """Return how long a thread was ready to run and waited for a processor; None if unknown."""
    try:
        text = (_TASKS / str(thread_id) / "schedstat").read_text(encoding="ascii")
    except OSError:
        return None
    return int(text.split()[1])
