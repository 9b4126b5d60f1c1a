"""What the kernel says of this process: bytes moved to and from devices, CPU time, memory."""

from __future__ import annotations

import resource
from pathlib import Path

from mlpstorage_bench.measure.counters import Traffic, TrafficCounter
from mlpstorage_bench.units import KIB

_RESET_PEAK = "5"
"""What clear_refs takes to set the peak to what is resident now (proc(5))."""


def open_process_counter() -> TrafficCounter[Traffic] | None:
    """Open the count of what all threads of this process moved through the block layer.

    None in kernels and containers that keep none.
    """
    try:
        return TrafficCounter("/proc/self/io", _traffic)
    except OSError:
        return None


def _traffic(text: str) -> Traffic:
    counts = {name: int(value) for name, value in (line.split(":") for line in text.splitlines())}
    return Traffic(counts["read_bytes"], counts["write_bytes"])


def cpu_s() -> float:
    """Return the user and system time of all threads so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def forget_peak_rss() -> None:
    """Let `peak_rss_bytes` count from now on, where the kernel has that."""
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return  # then the peak is the one since the process's start: more, never less


def peak_rss_bytes() -> int:
    """Return the most memory that this process has had resident since the peak was forgotten."""
    return _memory("VmHWM")


def rss_bytes() -> int:
    """Return the memory that this process has resident now."""
    return _memory("VmRSS")


def _memory(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * KIB
    raise RuntimeError(f"/proc/self/status has no {field}: Linux is required")
