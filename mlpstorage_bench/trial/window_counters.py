"""The kernel's counters at the two edges of a window."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from mlpstorage_bench.measure.counters import Count, Counter, Reading, Traffic
from mlpstorage_bench.measure.device import (
    BlockDevice,
    DeviceCount,
    DeviceTraffic,
    Underlying,
    UnderlyingTraffic,
)
from mlpstorage_bench.measure.lane_time import ThreadTimes
from mlpstorage_bench.measure.process import cpu_s, open_process_counter
from mlpstorage_bench.measure.source import SourceTraffic
from mlpstorage_bench.measure.window import Interval, Window
from mlpstorage_bench.storage.io_threads import IoThreads
from mlpstorage_bench.trial.counter_probe import UsableCounters
from mlpstorage_bench.trial.mount_probe import MountCounters
from mlpstorage_bench.units import NS_PER_S

_Edge = Literal["start_ns", "end_ns"]


@dataclass(frozen=True)
class StorageCounters:
    """Counters of a host's storage: of a block device, of what is below it, and of a mount."""

    device: BlockDevice | None
    device_reading: Reading[DeviceCount] | None
    underlying: Underlying | None
    underlying_traffic: Traffic | None
    """Sum over the devices at the bottom; None if one of them does not count."""
    mount: MountCounters | None = None
    mount_traffic: Traffic | None = None
    """Bytes that the source of a network filesystem counted; None if it does not count."""
    read_ns: int = 0
    """When they were read (`perf_counter_ns`)."""

    @classmethod
    def at_start(cls, window: Window, counters: UsableCounters) -> StorageCounters:
        """Read the counters where no rank works; workers count bytes for the audit from then on."""
        with ExitStack() as files:
            return _opened_storage(files, counters)(window, "start_ns")

    @classmethod
    def at_end(cls, window: Window, counters: UsableCounters) -> StorageCounters:
        """Read the counters where no rank works; workers count bytes for the audit until then."""
        with ExitStack() as files:
            return _opened_storage(files, counters)(window, "end_ns")

    def seconds_since(self, before: StorageCounters) -> float:
        """Return the time since another reading, in which all traffic was counted."""
        return (self.read_ns - before.read_ns) / NS_PER_S

    def device_since(self, before: StorageCounters) -> DeviceTraffic | None:
        """Return the device's traffic since another reading; None without a counter."""
        if self.device is None or self.device_reading is None or before.device_reading is None:
            return None
        moved = self.device_reading.traffic - before.device_reading.traffic
        return DeviceTraffic(self.device, moved)

    def underlying_since(self, before: StorageCounters) -> UnderlyingTraffic | None:
        """Return the traffic at the bottom since another reading; None if it is not separate."""
        if self.underlying is None:
            return None
        if self.underlying_traffic is None or before.underlying_traffic is None:
            return UnderlyingTraffic(self.underlying, None)
        moved = self.underlying_traffic - before.underlying_traffic
        return UnderlyingTraffic(self.underlying, moved)

    def mount_since(self, before: StorageCounters) -> SourceTraffic | None:
        """Return the network filesystem's traffic since another reading; None without one."""
        if self.mount is None:
            return None
        source = None if self.mount.files is None else self.mount.files.source
        if source is None or self.mount_traffic is None or before.mount_traffic is None:
            lost = "" if source is None else f"{source.name} could not be read in the window"
            return SourceTraffic(None, None, "; ".join(filter(None, (self.mount.reason, lost))))
        moved = self.mount_traffic - before.mount_traffic
        if min(moved.read_bytes, moved.write_bytes) < 0:
            return SourceTraffic(None, None, f"{source.name} began to count anew in the window")
        return SourceTraffic(source, moved, self.mount.reason)


@dataclass(frozen=True)
class WindowCounters:
    """The kernel's counters at an edge of a window: of this process, and of its host's storage."""

    cpu_s: float
    threads: ThreadTimes
    """Times of the lanes' threads."""
    process: Reading[Traffic] | None
    storage: StorageCounters | None
    """None where they are read at another moment."""

    @classmethod
    def at_start(
        cls,
        window: Window,
        counters: UsableCounters,
        threads: IoThreads | None = None,
        *,
        with_storage: bool = True,
    ) -> WindowCounters:
        """Read the counters at the start; workers count bytes for the audit from then on."""
        return cls._at("start_ns", window, counters, threads, with_storage=with_storage)

    @classmethod
    def at_end(
        cls,
        window: Window,
        counters: UsableCounters,
        threads: IoThreads | None = None,
        *,
        with_storage: bool = True,
    ) -> WindowCounters:
        """Read the counters at the end; workers count bytes for the audit until then."""
        return cls._at("end_ns", window, counters, threads, with_storage=with_storage)

    @classmethod
    def _at(
        cls,
        edge: _Edge,
        window: Window,
        counters: UsableCounters,
        threads: IoThreads | None,
        *,
        with_storage: bool,
    ) -> WindowCounters:
        """Open all files, then read all counters and set the window's edges.

        Each reading and its edge, and the few calls between them, take some 0.1 ms, in which no
        other thread gets Python's lock: a thread releases it in longer calls, or after 5 ms.
        Therefore no worker compares a transfer with an edge that is not set yet.
        """
        with ExitStack() as files:
            of_process = open_process_counter() if counters.process else None
            if of_process is not None:
                files.enter_context(of_process)
            of_storage = _opened_storage(files, counters) if with_storage else None
            process = _read(of_process, window.process_counted, edge)
            storage = None if of_storage is None else of_storage(window, edge)
        times = _times_of(threads)
        return cls(cpu_s=cpu_s(), threads=times, process=process, storage=storage)

    def process_since(self, before: WindowCounters) -> Traffic | None:
        """Return this process's traffic since another reading; None without a counter."""
        if self.process is None or before.process is None:
            return None
        return self.process.traffic - before.process.traffic


def _opened_storage(
    files: ExitStack, counters: UsableCounters
) -> Callable[[Window, _Edge], StorageCounters]:
    """Open the counters of the storage, and return what reads them at an edge."""
    below, mount = counters.underlying, counters.mount
    source = None if mount is None else mount.files
    of_device = None if counters.device is None else counters.device.open_counter()
    of_bottom = [] if below is None else [one.open_counter() for one in below.devices]
    of_mount = None if source is None else source.open_counter()
    for counter in (of_device, *of_bottom, of_mount):
        if counter is not None:
            files.enter_context(counter)

    def read(window: Window, edge: _Edge) -> StorageCounters:
        read_ns = time.perf_counter_ns()
        device_reading = _read(of_device, window.device_counted, edge)
        edge_of = Interval() if device_reading is not None else window.device_counted
        bottom = [_read(counter, edge_of, edge) for counter in of_bottom]
        edge_of = Interval() if any(bottom) else edge_of
        of_source = _read(of_mount, edge_of, edge)
        counts = [reading.traffic for reading in bottom if reading is not None]
        is_counted = bool(counts) and len(counts) == len(bottom)
        return StorageCounters(
            device=counters.device,
            device_reading=device_reading,
            underlying=below,
            underlying_traffic=Traffic.sum(counts) if is_counted else None,
            mount=mount,
            mount_traffic=None if of_source is None else of_source.traffic,
            read_ns=read_ns,
        )

    return read


def _times_of(threads: IoThreads | None) -> ThreadTimes:
    """Read the times of lanes' threads; without them, there are no times."""
    now_ns = time.perf_counter_ns()
    if threads is None:
        return ThreadTimes.of((), now_ns)
    return ThreadTimes.of(threads.threads, now_ns, threads.lanes_ready_ns, threads.delayed)


def _read(counter: Counter[Count] | None, counted: Interval, edge: _Edge) -> Reading[Count] | None:
    reading = None if counter is None else counter.read()
    if reading is not None:
        setattr(counted, edge, reading.moment_ns)
    return reading
