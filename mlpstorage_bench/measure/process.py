"""Kernel counters of this process: bytes moved to and from devices, CPU time, memory."""

from __future__ import annotations

import resource
from pathlib import Path

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
    """Return user plus system time of all threads so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


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
