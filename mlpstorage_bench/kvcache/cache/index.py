"""Index of a cache: its entries, the tier of each, and the number of operations that use it.

An evicted or moved entry leaves the index at once, and its store when no operation reads it any
more: until then its deletion is pending, and its bytes count as used.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

from mlpstorage_bench.kvcache.cache.tier import Resident, Tier
from mlpstorage_bench.storage.lane_waits import WaitList
from mlpstorage_bench.storage.store import StoredEntry


class PinnedEntry(NamedTuple):
    """An entry that is not selected for eviction until it is unpinned."""

    tier: Tier
    resident: Resident


class Index:
    """Entries by key, and their tiers' accounts. Lanes use it, of which one runs at a time."""

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self.changed = WaitList()
        """Lanes that wait for a change; notified of each."""
        self._tiers = tiers
        self._entries: dict[str, tuple[Tier, Resident]] = {}
        self._pending_deletion: set[tuple[str, str]] = set()
        """Tier and key of entries that are still in their store but not in the index."""

    def __contains__(self, key: str) -> bool:
        """Return whether the cache has this entry."""
        return key in self._entries

    def pin(self, key: str) -> PinnedEntry | None:
        """Protect an entry from eviction, and record a use; None if the cache does not have it."""
        found = self._entries.get(key)
        if found is None:
            return None
        tier, resident = found
        tier.order.use(key)
        resident.pins += 1
        return PinnedEntry(tier, resident)

    def unpin(self, pinned: PinnedEntry) -> None:
        """Unpin an entry; if it was moved meanwhile, the last reader deletes the old copy."""
        tier, resident = pinned
        resident.pins -= 1
        was_moved = tier.residents.get(resident.entry.name) is not resident
        is_last = resident.pins == 0
        self.changed.notify_all()
        if was_moved and is_last:
            self.discard(tier, resident)

    def add(self, tier: Tier, entry: StoredEntry) -> None:
        """Add an entry that was written; its space has been reserved."""
        self._insert(tier, Resident(entry))

    def move(self, tier: Tier, resident: Resident, target: Tier) -> None:
        """Replace an entry by its copy in another tier."""
        self.detach(tier, resident)
        self._insert(target, Resident(resident.entry))
        has_readers = resident.pins > 0
        if not has_readers:
            self.discard(tier, resident)

    def remove(self, key: str, stopping: threading.Event) -> None:
        """Remove the entry of a key, if there is one, as soon as no operation uses it.

        Also waits for pending deletions under this key, as files are named by keys. Raises
        CutOffError.
        """
        while (idle := self._detach_idle(key, stopping)) is not None:
            self.discard(*idle)

    def wait_until_deleted(self, tier: Tier, key: str, stopping: threading.Event) -> None:
        """Wait until the old copy in this tier, which may still be read, is deleted.

        Raises CutOffError.
        """
        while (tier.name, key) in self._pending_deletion:
            self.changed.wait_unless(stopping)

    def detach(self, tier: Tier, resident: Resident) -> None:
        """Remove an entry from the index; its bytes are used until `discard`."""
        tier.remove(resident)
        del self._entries[resident.entry.name]
        self._pending_deletion.add((tier.name, resident.entry.name))

    def discard(self, tier: Tier, resident: Resident) -> None:
        """Delete a detached entry that no operation uses from its store."""
        name = resident.entry.name
        tier.store.delete(name)
        self._pending_deletion.discard((tier.name, name))
        self.release_space(tier, resident.entry.size)

    def release_space(self, tier: Tier, size: int) -> None:
        """Release the space of an entry of this size."""
        tier.release(size)
        self.changed.notify_all()

    def clear(self) -> None:
        """Remove all entries from the index, after their tiers are closed."""
        self._entries.clear()

    def _insert(self, tier: Tier, resident: Resident) -> None:
        tier.add(resident)
        self._entries[resident.entry.name] = (tier, resident)
        if tier is not self._tiers[0]:
            tier.offloads += 1
        self.changed.notify_all()  # it can be evicted from now on

    def _detach_idle(self, key: str, stopping: threading.Event) -> tuple[Tier, Resident] | None:
        """Detach the entry of a key as soon as it is unused; None once no tier has one."""
        while True:
            found = self._entries.get(key)
            if found is None:
                if not any((tier.name, key) in self._pending_deletion for tier in self._tiers):
                    return None
            elif not (found[1].pins or found[1].is_moving):
                self.detach(*found)
                return found
            self.changed.wait_unless(stopping)
