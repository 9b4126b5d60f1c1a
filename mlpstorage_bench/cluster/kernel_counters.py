"""Counters of the kernel since boot: of every block device, of every network interface, of load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlpstorage_bench.cluster.disks import PROC, read_fact

OF_DISK = (
    *("reads_completed", "reads_merged", "sectors_read", "time_reading_ms", "writes_completed"),
    *("writes_merged", "sectors_written", "time_writing_ms", "ios_in_progress"),
    *("time_doing_ios_ms", "weighted_time_doing_ios_ms", "discards_completed"),
    *("discards_merged", "sectors_discarded", "time_discarding_ms", "flush_requests_completed"),
    "time_flushing_ms",
)
"""Columns of /proc/diskstats after the device's name; older kernels have the first of them."""
OF_INTERFACE = (
    *("rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "rx_fifo", "rx_frame"),
    *("rx_compressed", "rx_multicast", "tx_bytes", "tx_packets", "tx_errors", "tx_dropped"),
    *("tx_fifo", "tx_collisions", "tx_carrier", "tx_compressed"),
)
"""Columns of /proc/net/dev after the interface's name."""

Counters = Mapping[str, int | None]
"""Counter by name; None for one that the kernel does not have."""


@dataclass(frozen=True)
class KernelCounters:
    """Counters of a host; empty where the kernel hides them."""

    disks: Mapping[str, Counters] = field(default_factory=dict)
    """Counters by device."""
    interfaces: Mapping[str, Counters] = field(default_factory=dict)
    """Counters by interface."""
    running_processes: int | None = None
    total_processes: int | None = None


def read_counters(proc: Path = PROC) -> KernelCounters:
    """Return the counters of this host; `proc` is the mount point of procfs."""
    running, total = _processes(proc)
    return KernelCounters(_disks(proc), _interfaces(proc), running, total)


def _disks(proc: Path) -> dict[str, Counters]:
    found: dict[str, Counters] = {}
    for line in (read_fact(proc / "diskstats") or "").split("\n"):
        match line.split():
            case [_, _, name, *values]:
                found[name] = _named(OF_DISK, values)
    return found


def _interfaces(proc: Path) -> dict[str, Counters]:
    found: dict[str, Counters] = {}
    for line in (read_fact(proc / "net" / "dev") or "").split("\n"):
        name, colon, values = line.partition(":")
        if colon:
            found[name.strip()] = _named(OF_INTERFACE, values.split())
    return found


def _named(names: tuple[str, ...], values: list[str]) -> Counters:
    numbers = [int(value) if value.isdecimal() else None for value in values[: len(names)]]
    return dict(zip(names, [*numbers, *[None] * (len(names) - len(numbers))], strict=True))


def _processes(proc: Path) -> tuple[int | None, int | None]:
    """Return the numbers of running and of all processes, from /proc/loadavg."""
    match (read_fact(proc / "loadavg") or "").split():
        case [_, _, _, numbers, *_]:
            running, _, total = numbers.partition("/")
            if running.isdecimal() and total.isdecimal():
                return int(running), int(total)
    return None, None
