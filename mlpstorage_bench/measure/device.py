"""The block device under a directory, and the kernel's counters of it: for the whole host."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.measure.counters import Traffic, TrafficCounter

_SYSFS = Path("/sys/dev/block")
_SECTOR_BYTES = 512
"""Unit of the counters, whatever the device's own (kernel: Documentation/block/stat.rst)."""
_READS, _READ_SECTORS, _READ_MS, _WRITES, _WRITTEN_SECTORS, _WRITE_MS = 0, 2, 3, 4, 6, 7


@dataclass(frozen=True)
class DeviceCount(Traffic):
    """What a device has done, whoever asked for it: bytes, and requests with their time.

    A request's time is from when the block layer took it to when the device was done with it,
    however long whoever waits for it takes to see that. A transfer may be several requests.
    """

    reads: int
    read_ms: int
    """Of all of them together, as in `write_ms`: requests under way at once add up."""
    writes: int
    write_ms: int


@dataclass(frozen=True)
class BlockDevice:
    """A disk, a partition or a mapped device."""

    number: str
    """major:minor."""
    name: str

    @classmethod
    def under(cls, directory: Path) -> BlockDevice | None:
        """Return the device that a directory's filesystem is on; None when it is on none.

        Memory, network and some multi-device filesystems have no device number of a disk.
        """
        device = directory.stat().st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        try:
            name = (_SYSFS / number).resolve(strict=True).name
        except OSError:
            return None
        return cls(number, name)

    def open_counter(self) -> TrafficCounter[DeviceCount] | None:
        """Open the count of what the device moved, whoever asked for it; None where it has none."""
        try:
            return TrafficCounter(str(_SYSFS / self.number / "stat"), _count)
        except OSError:
            return None


@dataclass(frozen=True)
class DeviceTraffic:
    """What moved through a host's device, whoever moved it."""

    device: BlockDevice
    traffic: DeviceCount


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
