"""Probe that finds the kernel's counters for writes and reads in a directory."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpstorage_bench.cluster.device_stack import find_underlying
from mlpstorage_bench.measure.counters import TrafficCounter
from mlpstorage_bench.measure.device import BlockDevice, Underlying
from mlpstorage_bench.measure.process import open_process_counter
from mlpstorage_bench.storage.direct_io import LARGEST_ALIGNMENT_BYTES
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.trial.mount_probe import MountCounters
from mlpstorage_bench.trial.probe_file import moved_by_probe

_PROBE_BYTES = LARGEST_ALIGNMENT_BYTES
"""Bytes written and read; nothing else of this process writes meanwhile."""


@dataclass(frozen=True)
class UsableCounters:
    """The kernel's counters that an audit can compare with reported bytes."""

    process: bool = False
    device: BlockDevice | None = None
    underlying: Underlying | None = None
    """Devices and memory at the bottom; None if that is the device itself, or is unknown."""
    mount: MountCounters | None = None
    """Counters of the network filesystem that has the files; None without one."""

    @classmethod
    def probe(cls, directory: Path, io_mode: IoMode) -> UsableCounters:
        """Write and read a file in the directory, and return the counters that increased as much.

        Memory, FUSE and most network filesystems increase none of process or device, nor does a
        device whose statistics are turned off: their zeros say nothing about the page cache.
        """
        device = BlockDevice.under(directory)
        with ExitStack() as files:
            opened: tuple[TrafficCounter[Any] | None, ...] = (
                open_process_counter(),
                None if device is None else device.open_counter(),
            )
            for counter in opened:
                if counter is not None:
                    files.enter_context(counter)
            moved = moved_by_probe(opened, directory, io_mode, _PROBE_BYTES)
        of_process, of_device = (
            one is not None and min(one.read_bytes, one.write_bytes) >= _PROBE_BYTES
            for one in moved
        )
        mount = MountCounters.probe(directory, io_mode)
        below = _below(directory, device)
        if mount is not None and below is not None and not (below.devices or below.memory):
            below = None  # all that is below is the mount
        return cls(of_process, device if of_device else None, below, mount)


def _below(directory: Path, device: BlockDevice | None) -> Underlying | None:
    """Return what the files lie on at last, unless that is their device itself or unknown."""
    found = find_underlying(directory)
    if device is None:
        return found if found.devices or found.memory else None
    return None if found == Underlying((device,)) else found


NO_COUNTERS = UsableCounters()
"""No counters, as before the probe."""
