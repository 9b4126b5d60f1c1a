"""Work of lanes on the files of a checkpoint: each takes the next file until none is left."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

from mlpstorage_bench.checkpointing.config.parameters import Kind
from mlpstorage_bench.checkpointing.runner.lane_parts import LaneParts
from mlpstorage_bench.checkpointing.runner.share_files import ShareFile
from mlpstorage_bench.errors import CorruptDataError
from mlpstorage_bench.measure.operation_statistics import STORAGE_TIER
from mlpstorage_bench.measure.recorder import EntryObserver, Recorder
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.io_thread import IoThread
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.lane_waits import CutOffError
from mlpstorage_bench.storage.memory import MemoryStore
from mlpstorage_bench.storage.store import Store, StoredEntry

MEMORY_TIER = "memory"
"""Tier of the copies to memory of asynchronous checkpoints."""


class FileWork(ABC):
    """Moves the files of one checkpoint; lanes share it."""

    kind: Kind

    def __init__(self, parts: LaneParts, recorders: list[Recorder], files: list[ShareFile]) -> None:
        self._parts = parts
        self._recorders = recorders
        self._left = deque(files)
        self.complete: dict[str, StoredEntry] = {}
        """Files that were moved, by name."""
        self.corrupt_files = 0
        self.corruption = ""
        """The first read that found other data than was written; '' without any."""
        self.ended_ns = 0
        """When the last lane ended."""
        self.refusal = ""
        """Reason why lanes had no queue; '' where they had one."""
        self.in_flight = 0
        """Chunks that all lanes together can have in flight."""

    def of_lanes(self) -> list[Callable[[], None]]:
        """Return the work of each lane."""
        return [self._of_lane(number) for number in range(self._parts.shape.lanes)]

    def _of_lane(self, number: int) -> Callable[[], None]:
        thread, recorder = self._parts.threads.of_lane(number), self._recorders[number]

        def work() -> None:
            try:
                self._move_all(thread, recorder)
            finally:
                self.ended_ns = max(self.ended_ns, recorder.window.clock.now_ns())

        return work

    def _move_all(self, thread: IoThread, recorder: Recorder) -> None:
        lane_counts = False
        while self._left:
            file = self._left.popleft()
            lane = self._lane(file, thread)
            observer = recorder.observe(STORAGE_TIER, self.kind, file.stored_bytes)
            try:
                entry = self._move(lane, file, observer, recorder)
            except CutOffError:
                observer.cut_off()
                return
            if entry is not None:
                self.complete[file.name] = entry
            observer.done()
            self.refusal = self.refusal or lane.queue_unavailable_reason
            if not lane_counts:
                lane_counts = True
                self.in_flight += lane.max_in_flight

    @abstractmethod
    def _move(
        self, lane: Lane, file: ShareFile, observer: EntryObserver, recorder: Recorder
    ) -> StoredEntry | None:
        """Move a file, and return it as it is stored; None if it is not what was written."""

    def _lane(self, file: ShareFile, thread: IoThread) -> Lane:
        parts = self._parts
        return Lane(
            parts.payload,
            file.chunking,
            parts.stopping,
            thread,
            chunks_in_flight=parts.shape.chunks_in_flight,
            verify_rate=parts.shape.verify_rate,
            buffers=parts.buffers,
        )


class Writes(FileWork):
    """Writes each file."""

    kind: Kind = "write"

    def __init__(
        self,
        parts: LaneParts,
        recorders: list[Recorder],
        files: list[ShareFile],
        store: Store,
        checkpoint: int,
    ) -> None:
        super().__init__(parts, recorders, files)
        self._store = store
        self._checkpoint = checkpoint

    def _move(
        self, lane: Lane, file: ShareFile, observer: EntryObserver, recorder: Recorder
    ) -> StoredEntry:
        del recorder
        size = file.stored_bytes
        return lane.write(self._store, file.name, size, observer, generation=self._checkpoint)


class Snapshots(Writes):
    """Copies each file's content to memory."""

    def __init__(
        self,
        parts: LaneParts,
        recorders: list[Recorder],
        files: list[ShareFile],
        store: MemoryStore,
        checkpoint: int,
    ) -> None:
        super().__init__(parts, recorders, files, store, checkpoint)

    def _move(
        self, lane: Lane, file: ShareFile, observer: EntryObserver, recorder: Recorder
    ) -> StoredEntry:
        del observer
        into_memory = recorder.observe(MEMORY_TIER, "write", file.stored_bytes)
        return super()._move(lane, file, into_memory, recorder)


class Drains(FileWork):
    """Writes each file from its copy in memory."""

    kind: Kind = "write"

    def __init__(
        self,
        parts: LaneParts,
        recorders: list[Recorder],
        files: list[ShareFile],
        copies: MemoryStore,
        entries: dict[str, StoredEntry],
        store: EntryFiles,
    ) -> None:
        super().__init__(parts, recorders, files)
        self._copies = copies
        self._entries = entries
        self._store = store

    def _move(
        self, lane: Lane, file: ShareFile, observer: EntryObserver, recorder: Recorder
    ) -> StoredEntry:
        entry = self._entries[file.name]
        from_memory = recorder.observe(MEMORY_TIER, "read", file.stored_bytes)
        lane.copy(self._copies, self._store, entry, from_memory, observer)
        return entry


class Reads(FileWork):
    """Reads each file, and checks its chunks."""

    kind: Kind = "read"

    def __init__(
        self,
        parts: LaneParts,
        recorders: list[Recorder],
        files: list[ShareFile],
        store: Store,
        entries: dict[str, StoredEntry],
    ) -> None:
        super().__init__(parts, recorders, files)
        self._store = store
        self._entries = entries

    def _move(
        self, lane: Lane, file: ShareFile, observer: EntryObserver, recorder: Recorder
    ) -> StoredEntry | None:
        del recorder
        entry = self._entries[file.name]
        try:
            lane.read(self._store, entry, observer)
        except CorruptDataError as error:
            self.corrupt_files += 1
            self.corruption = self.corruption or str(error)
            return None
        return entry
