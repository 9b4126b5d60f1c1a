"""The cache over all tiers: entries are written at the top, sink as they age, and fall off the end.

The lock guards the index and the tiers' accounts, never an operation on a store. An entry in use is
pinned and stays; one that is being moved down can be read where it was until the move is complete.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from mlpstorage_bench.errors import CapacityError
from mlpstorage_bench.kvcache.cache.tier import Resident, Tier
from mlpstorage_bench.measure.recorder import EntryObserver, Kind, Recorder
from mlpstorage_bench.storage.buffers import round_up_to_sector
from mlpstorage_bench.storage.lane import CutOffError
from mlpstorage_bench.storage.store import Observer, Store, StoredEntry

_WAIT_S = 0.05


class WriteLimitError(Exception):
    """What a rank may write to storage in one trial is spent; no fault."""


class Lane(Protocol):
    """What the cache needs of a lane."""

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
    """Takes note of operations."""

    def note(self, kind: Kind, size: int, tier: str, key: str, *, is_move: bool) -> None:
        """Take note of an operation that begins now; moves are those between tiers."""
        ...


@dataclass(frozen=True)
class Worker:
    """Who operates on the cache: one lane, the record of what it sees, and a journal if wanted."""

    lane: Lane
    recorder: Recorder
    journal: Journal | None = None

    def begin(
        self,
        tier: Tier,
        kind: Kind,
        key: str,
        size: int,
        asked_ns: int | None = None,
        *,
        is_repeated: bool = False,
        is_move: bool = False,
    ) -> EntryObserver:
        """Return the observer for an operation that begins now."""
        if self.journal is not None:
            self.journal.note(kind, size, tier.name, key, is_move=is_move)
        return self.recorder.observe(tier.name, kind, size, asked_ns, is_repeated=is_repeated)


class Held(NamedTuple):
    """An entry that may not go until it is released."""

    tier: Tier
    resident: Resident


class TierAccount(NamedTuple):
    """What became of a tier's entries."""

    entries: int
    """Resident."""
    offloads: int
    """Placed here because a higher tier could not take or keep them."""
    written_bytes: int
    """Of entries written completely."""
    evicted_bytes: int
    """Of those that went, to a lower tier or for good."""
    peak_bytes: int
    """The most that was in use at once, room reserved for entries included."""


class TieredCache:
    """Entries by key, over tiers from the fastest to the storage."""

    def __init__(
        self,
        tiers: Sequence[Tier],
        storage_write_limit: int | None = None,
        *,
        promotes: bool = False,
    ) -> None:
        self.tiers = tuple(tiers)
        self._storage = self.tiers[-1]
        self._write_limit = storage_write_limit
        self._promotes = promotes
        """Whether an entry that was read moves up to the highest tier."""
        self._admitted_bytes = 0
        self._index: dict[str, tuple[Tier, Resident]] = {}
        self._changed = threading.Condition()
        self._generations = itertools.count()
        """Every write's is its own: what is written under a key again differs from before."""
        self._lingering: set[tuple[str, str]] = set()
        """Tier and key of entries that have left the index and not yet their store."""
        self.offloads: dict[str, int] = {tier.name: 0 for tier in self.tiers}
        """Entries placed in each tier because a higher one could not take or keep them."""

    def __contains__(self, key: str) -> bool:
        """Whether the cache has this entry."""
        with self._changed:
            return key in self._index

    def hold(self, key: str) -> Held | None:
        """Keep an entry from going, and count it as used; None when the cache does not have it."""
        with self._changed:
            if key not in self._index:
                return None
            tier, resident = self._index[key]
            tier.order.use(key)
            resident.pins += 1
        return Held(tier, resident)

    def release(self, held: Held) -> None:
        """Let an entry go that was held."""
        self._unpin(*held)

    def read_held(
        self,
        held: Held,
        worker: Worker,
        asked_ns: int | None = None,
        *,
        is_repeated: bool = False,
    ) -> str:
        """Read and check an entry that is held; return its tier's name."""
        tier, entry = held.tier, held.resident.entry
        observer = worker.begin(
            tier, "read", entry.name, entry.size, asked_ns, is_repeated=is_repeated
        )
        with _followed(observer):
            worker.lane.read(tier.store, entry, observer)
        return tier.name

    def read(
        self,
        key: str,
        worker: Worker,
        asked_ns: int | None = None,
        *,
        is_repeated: bool = False,
    ) -> str | None:
        """Read and check an entry; return its tier's name, or None when it is not in the cache.

        `asked_ns` is when the entry was wanted; now, unless said. A repeated read is of an entry
        that the same request has read before.
        """
        held = self.hold(key)
        if held is None:
            return None
        try:
            self.read_held(held, worker, asked_ns, is_repeated=is_repeated)
        finally:
            self.release(held)
        self.promote(held, worker)
        return held.tier.name

    def write(self, key: str, size: int, worker: Worker, asked_ns: int | None = None) -> str:
        """Write an entry into the highest tier that takes it; return that tier's name.

        What the cache has under this key goes first, once nobody uses it.
        """
        size = round_up_to_sector(size)
        asked_ns = worker.recorder.window.clock.now_ns() if asked_ns is None else asked_ns
        self._replace(key, worker)
        tier = self._reserve(size, 0, worker)
        observer = worker.begin(tier, "write", key, size, asked_ns)
        try:
            with _followed(observer):
                generation = next(self._generations)
                entry = worker.lane.write(tier.store, key, size, observer, generation=generation)
        except BaseException:
            self._release(tier, size)
            raise
        with self._changed:
            self._settle(key, tier, Resident(entry))
            if tier is not self.tiers[0]:
                self.offloads[tier.name] += 1
        return tier.name

    def promote(self, held: Held, worker: Worker) -> None:
        """Move an entry that was read, and is released, up to the top if the cache does so."""
        if self._promotes and held.tier is not self.tiers[0]:
            self._promote(held.tier, held.resident, worker)

    def account(self) -> dict[str, TierAccount]:
        """Return what became of the entries, by tier."""
        return {
            tier.name: TierAccount(
                len(tier.residents),
                self.offloads[tier.name],
                tier.written_bytes,
                tier.evicted_bytes,
                tier.peak_bytes,
            )
            for tier in self.tiers
        }

    def close(self) -> None:
        """Remove every entry of every tier; raises what went wrong, once all have been closed."""
        with ExitStack() as closing:
            for tier in self.tiers:
                closing.callback(tier.close)
        self._index.clear()

    def _replace(self, key: str, worker: Worker) -> None:
        """Remove what there is under a key, for what comes instead.

        Also waits for what has left the index and not yet its store: files go by their keys.
        """
        while True:
            with self._changed:
                found = self._index.get(key)
                if found is None and not any((t.name, key) in self._lingering for t in self.tiers):
                    return
                is_idle = found is not None and not (found[1].pins or found[1].is_leaving)
                if found is not None and is_idle:
                    self._forget(*found)
                elif worker.lane.stopping.is_set():
                    raise CutOffError
                else:
                    self._changed.wait(_WAIT_S)
            if found is not None and is_idle:
                self._discard(*found)

    def _settle(self, key: str, tier: Tier, resident: Resident) -> None:
        tier.add(resident)
        self._index[key] = (tier, resident)

    def _reserve(self, size: int, highest: int, worker: Worker) -> Tier:
        """Make room for `size` bytes in the first tier from `highest` down that can have it."""
        for position in range(highest, len(self.tiers)):
            tier = self.tiers[position]
            if tier.takes(size) and self._make_room(tier, size, worker):
                return tier
        raise CapacityError(
            f"An entry of {size / 2**20:.0f} MiB does not fit the storage tier's capacity of "
            f"{self._storage.capacity_bytes / 2**20:.0f} MiB: raise storage_capacity_gb, or free "
            "space on the cache directory's filesystem"
        )

    def _make_room(self, tier: Tier, size: int, worker: Worker) -> bool:
        """Reserve room, moving out the oldest entries; False where a lower tier has to take it."""
        while True:
            with self._changed:
                if tier.has_room(size):
                    if tier is self._storage:
                        self._admit(size)
                    tier.reserve(size)
                    return True
                victim = tier.first_idle()
                if victim is not None:
                    victim.is_leaving = True
                    if tier is self._storage:
                        self._forget(tier, victim)
                elif tier is not self._storage:
                    return False
                else:
                    self._changed.wait(_WAIT_S)
            if worker.lane.stopping.is_set():
                self._restore(tier, victim)
                raise CutOffError
            if victim is not None:
                self._move_out(tier, victim, worker)

    def _admit(self, size: int) -> None:
        if self._write_limit is not None and self._admitted_bytes + size > self._write_limit:
            raise WriteLimitError
        self._admitted_bytes += size

    def _restore(self, tier: Tier, victim: Resident | None) -> None:
        if victim is None:
            return
        if tier is self._storage:
            self._discard(tier, victim)
        else:
            with self._changed:
                victim.is_leaving = False

    def _move_out(self, tier: Tier, victim: Resident, worker: Worker) -> None:
        if tier is self._storage:
            self._discard(tier, victim)
            return
        try:
            self._demote(tier, victim, worker)
        except BaseException:
            with self._changed:
                victim.is_leaving = False
            raise

    def _demote(self, tier: Tier, victim: Resident, worker: Worker) -> None:
        lower = self._reserve(victim.entry.size, self.tiers.index(tier) + 1, worker)
        self._move(tier, victim, lower, worker)
        with self._changed:
            self.offloads[lower.name] += 1

    def _promote(self, tier: Tier, resident: Resident, worker: Worker) -> None:
        """Move an entry that was read up to the top, unless it is in use or too large for it."""
        top, entry = self.tiers[0], resident.entry
        with self._changed:
            is_here = tier.residents.get(entry.name) is resident
            if not is_here or resident.is_leaving or resident.pins or not top.takes(entry.size):
                return
            resident.is_leaving = True
        try:
            if self._make_room(top, entry.size, worker):
                self._move(tier, resident, top, worker)
        finally:
            with self._changed:
                resident.is_leaving = False
                self._changed.notify_all()

    def _move(self, tier: Tier, resident: Resident, target: Tier, worker: Worker) -> None:
        """Copy an entry into room that is reserved for it, and let the copy take its place."""
        entry = resident.entry
        try:
            self._wait_for_readers(target, entry.name, worker)
            reading = worker.begin(tier, "read", entry.name, entry.size, is_move=True)
            writing = worker.begin(target, "write", entry.name, entry.size, is_move=True)
            with _followed(reading), _followed(writing):
                worker.lane.copy(tier.store, target.store, entry, reading, writing)
        except BaseException:
            self._release(target, entry.size)
            raise
        with self._changed:
            self._forget(tier, resident)
            self._settle(entry.name, target, Resident(entry))
            has_readers = resident.pins > 0
        if not has_readers:
            self._discard(tier, resident)

    def _wait_for_readers(self, target: Tier, key: str, worker: Worker) -> None:
        """Wait until a tier's own old copy has gone, which may still be read."""
        with self._changed:
            while (target.name, key) in self._lingering:
                if worker.lane.stopping.is_set():
                    raise CutOffError
                self._changed.wait(_WAIT_S)

    def _forget(self, tier: Tier, resident: Resident) -> None:
        """Take an entry off the index; its bytes stay in use until it is discarded."""
        tier.remove(resident)
        del self._index[resident.entry.name]
        self._lingering.add((tier.name, resident.entry.name))

    def _discard(self, tier: Tier, resident: Resident) -> None:
        name = resident.entry.name
        tier.store.delete(name)
        with self._changed:
            self._lingering.discard((tier.name, name))
        self._release(tier, resident.entry.size)

    def _unpin(self, tier: Tier, resident: Resident) -> None:
        with self._changed:
            resident.pins -= 1
            was_moved = tier.residents.get(resident.entry.name) is not resident
            is_last = resident.pins == 0
            self._changed.notify_all()
        if was_moved and is_last:
            self._discard(tier, resident)

    def _release(self, tier: Tier, size: int) -> None:
        with self._changed:
            tier.release(size)
            self._changed.notify_all()


@contextmanager
def _followed(observer: EntryObserver) -> Iterator[None]:
    """Tell an observer how its entry's operation ended: done, or cut off by the window's end."""
    try:
        yield
    except CutOffError:
        observer.cut_off()
        raise
    observer.done()
