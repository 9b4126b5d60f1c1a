"""The index of a cache: which entries it has, in which tier, and how many are using each.

An entry that goes leaves the index first, and its store once nobody reads it any more: until then
it lingers, and its bytes stay in use.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

from mlpstorage_bench.kvcache.cache.tier import Resident, Tier
from mlpstorage_bench.storage.lane import CutOffError
from mlpstorage_bench.storage.store import StoredEntry

WAIT_S = 0.05
"""How long to wait for a change before looking whether the trial is stopping."""


class Held(NamedTuple):
    """An entry that may not go until it is released."""

    tier: Tier
    resident: Resident


class Index:
    """Entries by key, and the lock that guards them and the tiers' accounts."""

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self.changed = threading.Condition()
        """The lock, never held during an operation on a store; notified of what others wait for."""
        self._tiers = tiers
        self._entries: dict[str, tuple[Tier, Resident]] = {}
        self._lingering: set[tuple[str, str]] = set()
        """Tier and key of entries that have left the index and not yet their store."""

    def __contains__(self, key: str) -> bool:
        """Whether the cache has this entry."""
        with self.changed:
            return key in self._entries

    def hold(self, key: str) -> Held | None:
        """Keep an entry from going, and count it as used; None when the cache does not have it."""
        with self.changed:
            if key not in self._entries:
                return None
            tier, resident = self._entries[key]
            tier.order.use(key)
            resident.pins += 1
        return Held(tier, resident)

    def release(self, held: Held) -> None:
        """Let an entry go that was held; its last reader discards it, if it was moved meanwhile."""
        tier, resident = held
        with self.changed:
            resident.pins -= 1
            was_moved = tier.residents.get(resident.entry.name) is not resident
            is_last = resident.pins == 0
            self.changed.notify_all()
        if was_moved and is_last:
            self.discard(tier, resident)

    def add(self, tier: Tier, entry: StoredEntry) -> None:
        """Take in an entry that was written into room that was reserved for it."""
        with self.changed:
            self._settle(tier, Resident(entry))

    def move(self, tier: Tier, resident: Resident, target: Tier) -> None:
        """Let the copy that another tier has of an entry take its place."""
        with self.changed:
            self.forget(tier, resident)
            self._settle(target, Resident(resident.entry))
            has_readers = resident.pins > 0
        if not has_readers:
            self.discard(tier, resident)

    def remove(self, key: str, stopping: threading.Event) -> None:
        """Remove what there is under a key, for what comes instead, once nobody uses it.

        Also waits for what lingers: files go by their keys. Raises CutOffError.
        """
        while (idle := self._forget_idle(key, stopping)) is not None:
            self.discard(*idle)

    def wait_until_gone(self, tier: Tier, key: str, stopping: threading.Event) -> None:
        """Wait until a tier's own old copy has gone, which may still be read.

        Raises CutOffError.
        """
        with self.changed:
            while (tier.name, key) in self._lingering:
                if stopping.is_set():
                    raise CutOffError
                self.changed.wait(WAIT_S)

    def forget(self, tier: Tier, resident: Resident) -> None:
        """Take an entry off, under the lock; its bytes stay in use until it is discarded."""
        tier.remove(resident)
        del self._entries[resident.entry.name]
        self._lingering.add((tier.name, resident.entry.name))

    def discard(self, tier: Tier, resident: Resident) -> None:
        """Delete an entry from its store that was forgotten, and that nobody uses any more."""
        name = resident.entry.name
        tier.store.delete(name)
        with self.changed:
            self._lingering.discard((tier.name, name))
        self.give_back(tier, resident.entry.size)

    def give_back(self, tier: Tier, size: int) -> None:
        """Give back the room of an entry of this size."""
        with self.changed:
            tier.release(size)
            self.changed.notify_all()

    def clear(self) -> None:
        """Forget all entries: their tiers are closed."""
        self._entries.clear()

    def _settle(self, tier: Tier, resident: Resident) -> None:
        tier.add(resident)
        self._entries[resident.entry.name] = (tier, resident)
        if tier is not self._tiers[0]:
            tier.offloads += 1

    def _forget_idle(self, key: str, stopping: threading.Event) -> tuple[Tier, Resident] | None:
        """Take an entry off that is to be replaced; None when nothing is left of it anywhere."""
        with self.changed:
            while True:
                found = self._entries.get(key)
                if found is None:
                    if not any((tier.name, key) in self._lingering for tier in self._tiers):
                        return None
                elif not (found[1].pins or found[1].is_leaving):
                    self.forget(*found)
                    return found
                if stopping.is_set():
                    raise CutOffError
                self.changed.wait(WAIT_S)
