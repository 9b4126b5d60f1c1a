"""The block device under a directory, and the kernel's counters of it: for the whole host."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.measure.counters import TrafficCounter
from mlpstorage_bench.measure.traffic import Traffic

_SYSFS = Path("/sys/dev/block")
_SECTOR_BYTES = 512
"""Unit of the counters, whatever the device's own (kernel: Documentation/block/stat.rst)."""
_READ_SECTORS, _WRITTEN_SECTORS = 2, 6


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

    def open_counter(self) -> TrafficCounter | None:
        """Open the count of what the device moved, whoever asked for it; None where it has none."""
        try:
            return TrafficCounter(str(_SYSFS / self.number / "stat"), _traffic)
        except OSError:
            return None


@dataclass(frozen=True)
class DeviceTraffic:
    """What moved through a host's device, whoever moved it."""

    device: BlockDevice
    traffic: Traffic


def _traffic(text: str) -> Traffic:
    counts = text.split()
    return Traffic(
        int(counts[_READ_SECTORS]) * _SECTOR_BYTES, int(counts[_WRITTEN_SECTORS]) * _SECTOR_BYTES
    )
