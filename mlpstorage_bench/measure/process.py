"""Kernel counters of this process: bytes moved to and from devices, CPU time, memory."""

from __future__ import annotations

import time
from pathlib import Path

from mlpstorage_bench.measure import threads
from mlpstorage_bench.measure.counters import Traffic, TrafficCounter
from mlpstorage_bench.units import KIB

_RESET_PEAK = "5"
"""Value for clear_refs that resets the peak to the current resident size (proc(5))."""


def open_process_counter() -> TrafficCounter[Traffic] | None:
    """Open the counter of bytes that all threads of this process moved through the block layer.

    None if the kernel or container does not provide it.
    """
    try:
        return TrafficCounter("/proc/self/io", _traffic)
    except OSError:
        return None


def _traffic(text: str) -> Traffic:
    counts = {name: int(value) for name, value in (line.split(":") for line in text.splitlines())}
    return Traffic(counts["read_bytes"], counts["write_bytes"])


def cpu_s() -> float:
    """Return user plus system time of all threads up to this moment.

    The kernel adds what a running thread has used to its process at a tick, which a processor with
    one busy thread may not have for seconds. Reading the thread's own clock adds it at once.
    """
    for thread_id in threads.thread_ids():
        threads.cpu_ns(thread_id)
    return time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID)


def reset_peak_rss() -> None:
    """Reset `peak_rss_bytes`, if the kernel supports it."""
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return  # the peak is then since the process's start: an upper bound


def peak_rss_bytes() -> int:
    """Return this process's largest resident memory since the reset."""
    return _memory("VmHWM")


def rss_bytes() -> int:
    """Return this process's resident memory."""
    return _memory("VmRSS")


def _memory(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * KIB
    raise RuntimeError(f"/proc/self/status has no {field}: Linux is required")
