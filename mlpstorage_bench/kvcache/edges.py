"""The kernel's counters at the two edges of a window."""

from __future__ import annotations

from dataclasses import dataclass

from mlpstorage_bench.measure.device import BlockDevice, DeviceTraffic
from mlpstorage_bench.measure.process import ProcessCounters
from mlpstorage_bench.measure.traffic import Reading
from mlpstorage_bench.measure.window import Window


@dataclass(frozen=True)
class EdgeCounters:
    """The kernel's counters at an edge of a window, of this process and of a block device."""

    process: ProcessCounters
    device: BlockDevice | None
    device_reading: Reading | None

    @classmethod
    def now(cls, device: BlockDevice | None) -> EdgeCounters:
        """Read them."""
        return cls(ProcessCounters.now(), device, None if device is None else device.read())

    def start(self, window: Window) -> None:
        """Have the window's workers count as the kernel does, from these readings on."""
        if self.process.reading is not None:
            window.process_counted.start_ns = self.process.reading.moment_ns
        if self.device_reading is not None:
            window.device_counted.start_ns = self.device_reading.moment_ns

    def end(self, window: Window) -> None:
        """The same, up to these."""
        if self.process.reading is not None:
            window.process_counted.end_ns = self.process.reading.moment_ns
        if self.device_reading is not None:
            window.device_counted.end_ns = self.device_reading.moment_ns

    def device_since(self, before: EdgeCounters) -> DeviceTraffic | None:
        """Return what the device moved since another reading; None where it is not counted."""
        if self.device is None or self.device_reading is None or before.device_reading is None:
            return None
        moved = self.device_reading.traffic - before.device_reading.traffic
        return DeviceTraffic(self.device, moved)
