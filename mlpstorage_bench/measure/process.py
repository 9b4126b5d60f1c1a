"""What the kernel says of this process: bytes moved to and from devices, CPU time, memory."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

_KIB = 1024


@dataclass(frozen=True)
class ProcessCounters:
    """The kernel's counters of this process, all threads, at one moment."""

    device_bytes: int | None
    """Bytes that moved through the block layer, both ways; None where the kernel does not say."""
    cpu_s: float
    """User and system time."""

    @classmethod
    def now(cls) -> ProcessCounters:
        """Read the counters."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return cls(_device_bytes(), usage.ru_utime + usage.ru_stime)


def _device_bytes() -> int | None:
    try:
        text = Path("/proc/self/io").read_text(encoding="ascii")
    except OSError:
        return None  # not in every kernel or container: the audit then says that it cannot measure
    counts = {name: int(value) for name, value in (line.split(":") for line in text.splitlines())}
    return counts["read_bytes"] + counts["write_bytes"]


def peak_rss_bytes() -> int:
    """Return the most memory that this process has had resident, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB
