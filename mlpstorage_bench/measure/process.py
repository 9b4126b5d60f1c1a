"""What the kernel says of this process: bytes moved to and from devices, CPU time, memory."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.measure.counters import read_counters
from mlpstorage_bench.measure.traffic import Reading, Traffic

_KIB = 1024
_RESET_PEAK = "5"
"""What clear_refs takes to set the peak to what is resident now (proc(5))."""


@dataclass(frozen=True)
class ProcessCounters:
    """The kernel's counters of this process, all threads, at one moment."""

    reading: Reading | None
    """What moved through the block layer; None where the kernel does not say."""
    cpu_s: float
    """User and system time."""

    @classmethod
    def now(cls) -> ProcessCounters:
        """Read the counters."""
        reading = _read()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return cls(reading, usage.ru_utime + usage.ru_stime)

    def since(self, earlier: ProcessCounters) -> Traffic | None:
        """Return what moved since an earlier count; None where the kernel does not say."""
        if self.reading is None or earlier.reading is None:
            return None
        return self.reading.traffic - earlier.reading.traffic


def _read() -> Reading | None:
    try:
        text, moment_ns = read_counters("/proc/self/io")
    except OSError:
        return None  # not in every kernel or container: the audit then says that it cannot measure
    counts = {name: int(value) for name, value in (line.split(":") for line in text.splitlines())}
    return Reading(Traffic(counts["read_bytes"], counts["write_bytes"]), moment_ns)


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
            return int(value.split()[0]) * _KIB
    raise RuntimeError(f"/proc/self/status has no {field}: Linux is required")
