"""Probe that finds the kernel's counters for writes and reads in a directory."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpstorage_bench.cluster.device_stack import find_underlying
from mlpstorage_bench.measure.counters import TrafficCounter
from mlpstorage_bench.measure.device import BlockDevice, Underlying
from mlpstorage_bench.measure.process import open_process_counter
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.storage.buffers import aligned_buffer
from mlpstorage_bench.storage.direct_io import LARGEST_ALIGNMENT_BYTES
from mlpstorage_bench.storage.files import DATA_SUFFIX, FileIo, IoMode, remove

_PROBE_BYTES = LARGEST_ALIGNMENT_BYTES
"""Bytes written and read; nothing else of this process writes meanwhile."""


@dataclass(frozen=True)
class UsableCounters:
    """The kernel's counters that an audit can compare with reported bytes."""

    process: bool = False
    device: BlockDevice | None = None
    underlying: Underlying | None = None
    """Devices and memory at the bottom; None if that is the device itself, or is unknown."""

    @classmethod
    def probe(cls, directory: Path, io_mode: IoMode) -> UsableCounters:
        """Write and read a file in the directory, and return the counters that increased as much.

        Memory, FUSE and most network filesystems increase none, nor does a device whose statistics
        are turned off: their zeros say nothing about the page cache.
        """
        device = BlockDevice.under(directory)
        with ExitStack() as files:
            process_counter = open_process_counter()
            device_counter = None if device is None else device.open_counter()
            counters: list[TrafficCounter[Any]] = [
                c for c in (process_counter, device_counter) if c is not None
            ]
            for counter in counters:
                files.enter_context(counter)
            moving = _moving(counters, directory, io_mode)
        return cls(
            process_counter in moving,
            device if device_counter in moving else None,
            _below(directory, device),
        )


def _below(directory: Path, device: BlockDevice | None) -> Underlying | None:
    """Return what the files lie on at last, unless that is their device itself or unknown."""
    found = find_underlying(directory)
    if device is None:
        return found if found.devices or found.memory else None
    return None if found == Underlying((device,)) else found


NO_COUNTERS = UsableCounters()
"""No counters, as before the probe."""


def _moving(
    counters: Sequence[TrafficCounter[Any]], directory: Path, io_mode: IoMode
) -> list[TrafficCounter[Any]]:
    before = [counter.read() for counter in counters]
    _write_and_read(directory, io_mode)
    after = [counter.read() for counter in counters]
    moving = []
    for counter, first, last in zip(counters, before, after, strict=True):
        if first is not None and last is not None:
            moved = last.traffic - first.traffic
            if min(moved.read_bytes, moved.write_bytes) >= _PROBE_BYTES:
                moving.append(counter)
    return moving


def _write_and_read(directory: Path, io_mode: IoMode) -> None:
    buffer = aligned_buffer(_PROBE_BYTES)
    path = directory / f".audit-probe{DATA_SUFFIX}"
    file = FileIo(io_mode).create(path, _PROBE_BYTES)
    try:
        try:
            file.write(buffer.bytes, 0)
            file.make_durable(Recorder(Window()).observe("storage", "write", _PROBE_BYTES))
            file.drop_cached_pages()
            file.read(buffer.bytes, 0)
        finally:
            file.close()
    finally:
        remove(path)
