"""Cache client: writes, reads and copies entries on a lane, and records each operation."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from mlpstorage_bench.kvcache.cache.tier import Tier
from mlpstorage_bench.measure.recorder import EntryObserver, Kind, Recorder
from mlpstorage_bench.storage.io_thread import CutOffError
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
        with self._observed(tier, "write", key, size, requested_ns) as observer:
            return self.lane.write(tier.store, key, size, observer, generation=generation)

    def read(
        self, tier: Tier, entry: StoredEntry, requested_ns: int | None = None, *, is_repeated: bool
    ) -> None:
        """Read an entry from a tier's store and check it."""
        with self._observed(
            tier, "read", entry.name, entry.size, requested_ns, is_repeated=is_repeated
        ) as observer:
            self.lane.read(tier.store, entry, observer)

    def copy(self, source: Tier, target: Tier, entry: StoredEntry) -> None:
        """Copy an entry from one tier's store into another's."""
        name, size = entry.name, entry.size
        with (
            self._observed(source, "read", name, size, is_move=True) as read,
            self._observed(target, "write", name, size, is_move=True) as write,
        ):
            self.lane.copy(source.store, target.store, entry, read, write)

    @contextmanager
    def _observed(
        self,
        tier: Tier,
        kind: Kind,
        key: str,
        size: int,
        requested_ns: int | None = None,
        *,
        is_repeated: bool = False,
        is_move: bool = False,
    ) -> Iterator[EntryObserver]:
        """Yield the observer of an operation that starts now, and record its end.

        The end is done, or cut off by the window's end.
        """
        if self.journal is not None:
            self.journal.note(kind, size, tier.name, key, is_move=is_move)
        observer = self.recorder.observe(
            tier.name, kind, size, requested_ns, is_repeated=is_repeated, is_copy=is_move
        )
        try:
            yield observer
        except CutOffError:
            observer.cut_off()
            raise
        observer.done()
