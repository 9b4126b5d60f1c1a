"""The kernel's counters at the two edges of a window."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from mlpstorage_bench.kvcache.runner.counter_probe import UsableCounters
from mlpstorage_bench.measure.counters import Count, Reading, Traffic, TrafficCounter
from mlpstorage_bench.measure.device import BlockDevice, DeviceCount, DeviceTraffic
from mlpstorage_bench.measure.process import cpu_s, open_process_counter
from mlpstorage_bench.measure.window import Interval, Window

_Edge = Literal["start_ns", "end_ns"]


@dataclass(frozen=True)
class WindowCounters:
    """The kernel's counters at an edge of a window, of this process and of a block device."""

    cpu_s: float
    process: Reading[Traffic] | None
    device: BlockDevice | None
    device_reading: Reading[DeviceCount] | None

    @classmethod
    def at_start(cls, window: Window, counters: UsableCounters) -> WindowCounters:
        """Read the counters at the start; workers count bytes for the audit from then on."""
        return cls._at("start_ns", window, counters)

    @classmethod
    def at_end(cls, window: Window, counters: UsableCounters) -> WindowCounters:
        """Read the counters at the end; workers count bytes for the audit until then."""
        return cls._at("end_ns", window, counters)

    @classmethod
    def _at(cls, edge: _Edge, window: Window, counters: UsableCounters) -> WindowCounters:
        """Open both files, then read both counters and set the window's edges.

        Each reading and its edge, and the few calls between them, take some 0.1 ms, in which no
        other thread gets Python's lock: a thread releases it in longer calls, or after 5 ms.
        Therefore no worker compares a transfer with an edge that is not set yet.
        """
        with ExitStack() as files:
            of_process = open_process_counter() if counters.process else None
            of_device = None if counters.device is None else counters.device.open_counter()
            for counter in (of_process, of_device):
                if counter is not None:
                    files.enter_context(counter)
            process = _read(of_process, window.process_counted, edge)
            device_reading = _read(of_device, window.device_counted, edge)
        return cls(cpu_s(), process, counters.device, device_reading)

    def process_since(self, before: WindowCounters) -> Traffic | None:
        """Return this process's traffic since another reading; None without a counter."""
        if self.process is None or before.process is None:
            return None
        return self.process.traffic - before.process.traffic

    def device_since(self, before: WindowCounters) -> DeviceTraffic | None:
        """Return the device's traffic since another reading; None without a counter."""
        if self.device is None or self.device_reading is None or before.device_reading is None:
            return None
        moved = self.device_reading.traffic - before.device_reading.traffic
        return DeviceTraffic(self.device, moved)


def _read(
    counter: TrafficCounter[Count] | None, counted: Interval, edge: _Edge
) -> Reading[Count] | None:
    reading = None if counter is None else counter.read()
    if reading is not None:
        setattr(counted, edge, reading.moment_ns)
    return reading
