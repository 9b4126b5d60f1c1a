"""Reads of samples on a lane, with their checks and their counts."""

from __future__ import annotations

from collections.abc import Sequence

from mlpstorage_bench.errors import CorruptDataError
from mlpstorage_bench.measure.operation_statistics import STORAGE_TIER
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.storage.failures import storage_error
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.lane_waits import CutOffError, off_thread
from mlpstorage_bench.training.dataset.raw_files import RawReader
from mlpstorage_bench.training.formats.chosen import format_of
from mlpstorage_bench.training.formats.library_format import LibraryFormat


class SampleReader:
    """Reads batches on one lane, one sample after the other, as a worker of a loader does."""

    def __init__(
        self, lane: Lane, reader: RawReader, window: Window, verify_rate: float = 1.0
    ) -> None:
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
        self._format = format_of(reader.place)
        self._is_checked = verify_rate > 0

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
        if self._format is not None:
            self._read_by_library(self._format, file, number)
            return
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
            self._note_corruption(str(error))
        observer.done()

    def _read_by_library(self, read_by: LibraryFormat, file: int, number: int) -> None:
        """Have a library read and decode a group, on a helper thread, and check its content."""
        path = self._reader.place.path(file)
        observer = self.recorder.observe(
            STORAGE_TIER, "read", self._dataset.read_bytes(file, number)
        )
        started_ns = self._window.clock.now_ns()
        try:
            read = off_thread(read_by.read, file, number)
        except OSError as error:
            raise storage_error("reading", path, error) from error
        except ValueError as error:  # of the decoders, for content that is none of their format
            self._note_corruption(f"{path}: {error}")
            return
        ended_ns = self._window.clock.now_ns()
        observer.chunk(read.moved_bytes, started_ns, ended_ns)
        if self._is_checked:
            if read.digest == self._reader.digest_of_group(file, number):
                observer.verified(ended_ns, self._window.clock.now_ns())
            else:
                self._note_corruption(f"{path}: group {number} has other content than was made")
        observer.done()

    def _note_corruption(self, description: str) -> None:
        self.corrupt_reads += 1
        self.corruption = self.corruption or description
