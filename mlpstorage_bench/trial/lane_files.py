"""Files that one lane writes and reads, each of them a measured operation."""

from __future__ import annotations

from mlpstorage_bench.errors import CorruptDataError
from mlpstorage_bench.measure.operation_statistics import STORAGE_TIER, Kind
from mlpstorage_bench.measure.recorder import EntryObserver, Recorder
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.lane_waits import CutOffError
from mlpstorage_bench.storage.store import Store, StoredEntry


class LaneFiles:
    """Writes and reads files of a rank's directory; only the lane's own work uses it."""

    def __init__(
        self, number: int, lane: Lane, store: Store, recorder: Recorder, alignment_bytes: int
    ) -> None:
        self.number = number
        """The lane's number on its rank, from 0."""
        self.written: dict[str, int] = {}
        """Sizes of the files that were begun, by name; 0 of one that is not complete."""
        self.corruption = ""
        """The first read that found other data than was written; '' without any."""
        self._lane = lane
        self._store = store
        self._recorder = recorder
        self._alignment_bytes = alignment_bytes

    @property
    def recorder(self) -> Recorder:
        """The record of this lane's operations."""
        return self._recorder

    def write(self, name: str, size: int) -> StoredEntry:
        """Write a new file of at least `size` bytes, as direct I/O has units; make it durable.

        No other file of the trial has its name. StorageError if it cannot be written.
        """
        size = -(-size // self._alignment_bytes) * self._alignment_bytes
        self.written[name] = 0
        observer = self._observe("write", size)
        try:
            entry = self._lane.write(self._store, name, size, observer)
        except CutOffError:
            observer.cut_off()
            raise
        observer.done()
        self.written[name] = size
        return entry

    def read(self, entry: StoredEntry) -> None:
        """Read a file that a lane of this rank has written, and check its content.

        Other content than was written is kept in `corruption`. StorageError if it cannot be read.
        """
        observer = self._observe("read", entry.size)
        try:
            self._lane.read(self._store, entry, observer)
        except CutOffError:
            observer.cut_off()
            raise
        except CorruptDataError as error:
            self.corruption = self.corruption or str(error)
        observer.done()

    def _observe(self, kind: Kind, size: int) -> EntryObserver:
        return self._recorder.observe(STORAGE_TIER, kind, size)
