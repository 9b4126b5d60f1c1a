"""Reads of samples on a lane, with their checks and their counts."""

from __future__ import annotations

from collections.abc import Sequence

from mlpstorage_bench.errors import CorruptDataError
from mlpstorage_bench.measure.recorder import STORAGE_TIER, Recorder
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.lane_waits import CutOffError
from mlpstorage_bench.training.dataset.raw_files import RawReader


class SampleReader:
    """Reads batches on one lane, one sample after the other, as a worker of a loader does."""

    def __init__(self, lane: Lane, reader: RawReader, window: Window) -> None:
        self.recorder = Recorder(window)
        self.corrupt_reads = 0
        self.corruption = ""
        """Description of the first read that found other data than was written."""
        self.busy_ns = 0
        """Time inside the window in which the lane read a batch."""
        self._lane = lane
        self._reader = reader
        self._dataset = reader.place.dataset
        self._window = window

    def read(self, groups: Sequence[int]) -> None:
        """Read the groups of a batch. Raises CutOffError if the trial is stopping."""
        now_ns = self._window.clock.now_ns
        started_ns = now_ns()
        try:
            for group in groups:
                self._read_group(group)
        finally:
            self.busy_ns += self._window.overlap_ns(started_ns, now_ns())

    def _read_group(self, group: int) -> None:
        file, number = self._dataset.place(group)
        size = self._dataset.read_bytes(file, number)
        observer = self.recorder.observe(STORAGE_TIER, "read", size)
        try:
            with self._reader.open(file) as opened:
                for entry in self._reader.entries(file, number):
                    self._lane.read(opened, entry, observer)
        except CutOffError:
            observer.cut_off()
            raise
        except CorruptDataError as error:
            self.corrupt_reads += 1
            self.corruption = self.corruption or str(error)
        observer.done()
