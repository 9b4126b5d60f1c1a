"""Cache client: writes, reads and copies entries on a lane, and records each operation."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

from mlpstorage_bench.kvcache.cache.tier import Tier
from mlpstorage_bench.measure.operation_statistics import Kind
from mlpstorage_bench.measure.recorder import EntryObserver, Recorder
from mlpstorage_bench.storage.lane_waits import CutOffError
from mlpstorage_bench.storage.store import Observer, Store, StoredEntry


class TransferLane(Protocol):
    """Lane operations that a client needs."""

    stopping: threading.Event

    def write(
        self, store: Store, name: str, size: int, observer: Observer, *, generation: int = 0
    ) -> StoredEntry:
        """Put a new entry into a store."""
        ...

    def read(self, store: Store, entry: StoredEntry, observer: Observer) -> None:
        """Read an entry and check it."""
        ...

    def copy(
        self, source: Store, target: Store, entry: StoredEntry, read: Observer, write: Observer
    ) -> None:
        """Copy an entry from one store into another."""
        ...


class Journal(Protocol):
    """Receives each operation, for a trace."""

    def note(self, kind: Kind, size: int, tier: str, key: str, *, is_move: bool) -> None:
        """Record an operation that starts now; `is_move`: between tiers."""
        ...


@dataclass(frozen=True)
class CacheClient:
    """A lane, the recorder of its operations, and optionally a journal."""

    lane: TransferLane
    recorder: Recorder
    journal: Journal | None = None

    def write(
        self, tier: Tier, key: str, size: int, requested_ns: int, *, generation: int
    ) -> StoredEntry:
        """Put a new entry into a tier's store."""
        observer = self._begin(tier, "write", key, size, requested_ns)
        try:
            entry = self.lane.write(tier.store, key, size, observer, generation=generation)
        except CutOffError:
            observer.cut_off()
            raise
        observer.done()
        return entry

    def read(
        self, tier: Tier, entry: StoredEntry, requested_ns: int | None = None, *, is_repeated: bool
    ) -> None:
        """Read an entry from a tier's store and check it."""
        observer = self._begin(
            tier, "read", entry.name, entry.size, requested_ns, is_repeated=is_repeated
        )
        try:
            self.lane.read(tier.store, entry, observer)
        except CutOffError:
            observer.cut_off()
            raise
        observer.done()

    def copy(self, source: Tier, target: Tier, entry: StoredEntry) -> None:
        """Copy an entry from one tier's store into another's."""
        read = self._begin(source, "read", entry.name, entry.size, is_move=True)
        write = self._begin(target, "write", entry.name, entry.size, is_move=True)
        try:
            self.lane.copy(source.store, target.store, entry, read, write)
        except CutOffError:
            write.cut_off()
            read.cut_off()
            raise
        write.done()
        read.done()

    def _begin(
        self,
        tier: Tier,
        kind: Kind,
        key: str,
        size: int,
        requested_ns: int | None = None,
        *,
        is_repeated: bool = False,
        is_move: bool = False,
    ) -> EntryObserver:
        """Return the observer of an operation that starts now, which is done or is cut off."""
        if self.journal is not None:
            self.journal.note(kind, size, tier.name, key, is_move=is_move)
        return self.recorder.observe(
            tier.name, kind, size, requested_ns, is_repeated=is_repeated, is_copy=is_move
        )
