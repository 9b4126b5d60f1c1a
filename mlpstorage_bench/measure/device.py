"""The block device under a directory, and its counters, which cover the whole host."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.measure.counters import Traffic, TrafficCounter

_SYSFS = Path("/sys/dev/block")
_SECTOR_BYTES = 512
"""Unit of the counters for every device (kernel: Documentation/block/stat.rst)."""
_READS, _READ_SECTORS, _READ_MS, _WRITES, _WRITTEN_SECTORS, _WRITE_MS = 0, 2, 3, 4, 6, 7


@dataclass(frozen=True)
class DeviceCount(Traffic):
    """Bytes, requests and request times of a device, for all processes.

    A request's time lasts from its arrival in the block layer to its completion by the device, not
    to when a process sees it. A transfer may consist of several requests.
    """

    reads: int
    read_ms: int
    """Sum of the times of all requests, as in `write_ms`; concurrent requests add up."""
    writes: int
    write_ms: int


@dataclass(frozen=True)
class BlockDevice:
    """Disk, partition or mapped device."""

    number: str
    """major:minor."""
    name: str

    @classmethod
    def under(cls, directory: Path) -> BlockDevice | None:
        """Return the device of a directory's filesystem; None if it has none.

        Memory, network and some multi-device filesystems have no block device's number.
        """
        device = directory.stat().st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        try:
            name = (_SYSFS / number).resolve(strict=True).name
        except OSError:
            return None
        return cls(number, name)

    @property
    def counts(self) -> bool:
        """Whether the device's statistics are turned on, so that its counter changes."""
        directory = (_SYSFS / self.number).resolve()
        disk = directory.parent if (directory / "partition").exists() else directory
        try:
            return (disk / "queue" / "iostats").read_text(encoding="ascii").strip() != "0"
        except OSError:
            return False

    def open_counter(self) -> TrafficCounter[DeviceCount] | None:
        """Open the device's counter, which covers all processes; None if it has none."""
        try:
            return TrafficCounter(str(_SYSFS / self.number / "stat"), _count)
        except OSError:
            return None


@dataclass(frozen=True)
class DeviceTraffic:
    """Traffic of a host's device, for all processes."""

    device: BlockDevice
    traffic: DeviceCount


@dataclass(frozen=True)
class Underlying:
    """Bottom of the storage under files: devices that lie on nothing else of this host, memory."""

    devices: tuple[BlockDevice, ...] = ()
    memory: str = ""
    """The part that is memory, in words; '' if there is none."""
    unknown: str = ""
    """The part that cannot be followed further, in words; '' if there is none."""

    @property
    def names(self) -> str:
        """Names of the devices."""
        return ", ".join(device.name for device in self.devices)


@dataclass(frozen=True)
class UnderlyingTraffic:
    """Traffic of what files lie on at last, for all processes."""

    underlying: Underlying
    traffic: Traffic | None
    """Sum over the devices; None if one of them does not count."""


def _count(text: str) -> DeviceCount:
    counts = [int(word) for word in text.split()]
    return DeviceCount(
        counts[_READ_SECTORS] * _SECTOR_BYTES,
        counts[_WRITTEN_SECTORS] * _SECTOR_BYTES,
        reads=counts[_READS],
        read_ms=counts[_READ_MS],
        writes=counts[_WRITES],
        write_ms=counts[_WRITE_MS],
    )
