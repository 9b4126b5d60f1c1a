"""One tier: its store, its residents in eviction order, and the account of its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mlpstorage_bench.kvcache.cache.eviction import PolicyName, eviction_policy
from mlpstorage_bench.storage.store import Store, StoredEntry

TARGET_USAGE = 0.8
"""Entries are evicted while a write would fill more than this share of a tier."""
LARGEST_ENTRY = 0.95
"""Entries larger than this share of a tier are placed in the next one."""


@dataclass(eq=False)
class Resident:
    """An entry in a tier."""

    entry: StoredEntry
    pins: int = 0
    """Operations that use the entry; it is not selected for eviction or a move meanwhile."""
    is_moving: bool = False
    """Whether it is being moved to another tier; it can still be read here."""


class TierAccount(NamedTuple):
    """Account of a tier's entries."""

    entries: int
    """Number of residents."""
    offloads: int
    """Entries placed here because a higher tier could not accept or keep them."""
    written_bytes: int
    """Bytes of entries written completely."""
    evicted_bytes: int
    """Bytes of entries evicted or moved to another tier."""
    peak_bytes: int
    """Largest number of used bytes, including space reserved for entries."""


class Tier:
    """A tier's residents and bytes. Not thread-safe: the cache's index has the lock.

    `used_bytes` is the space in the store of residents, of entries being written, and of entries
    whose deletion is pending.
    """

    def __init__(
        self, name: str, store: Store, capacity_bytes: int, policy: PolicyName = "lru"
    ) -> None:
        self.name = name
        self.store = store
        self.capacity_bytes = capacity_bytes
        self.used_bytes = 0
        self.peak_bytes = 0
        """Largest `used_bytes` so far."""
        self.offloads = 0
        """Entries placed here because a higher tier could not accept or keep them."""
        self.written_bytes = 0
        """Bytes of entries written completely."""
        self.evicted_bytes = 0
        """Bytes of entries evicted or moved to another tier."""
        self.residents: dict[str, Resident] = {}
        self.order = eviction_policy(policy)
        """Names of the residents in eviction order."""

    def accepts(self, size: int) -> bool:
        """Return whether an entry of this size may be placed in this tier."""
        return self.store.footprint(size) <= LARGEST_ENTRY * self.capacity_bytes

    def has_space(self, size: int) -> bool:
        """Return whether an entry fits now; large entries may use the whole tier."""
        footprint = self.store.footprint(size)
        limit = max(TARGET_USAGE * self.capacity_bytes, footprint)
        return self.used_bytes + footprint <= limit

    def reserve(self, size: int) -> None:
        """Reserve space for an entry of this size."""
        self.used_bytes += self.store.footprint(size)
        self.peak_bytes = max(self.peak_bytes, self.used_bytes)

    def release(self, size: int) -> None:
        """Release the space of an entry of this size."""
        self.used_bytes -= self.store.footprint(size)

    def add(self, resident: Resident) -> None:
        """Add an entry that was written completely."""
        self.residents[resident.entry.name] = resident
        self.order.add(resident.entry.name)
        self.written_bytes += resident.entry.size

    def remove(self, resident: Resident) -> None:
        """Remove an entry; its bytes count as used until they are released."""
        del self.residents[resident.entry.name]
        self.order.remove(resident.entry.name)
        self.evicted_bytes += resident.entry.size

    def next_victim(self) -> Resident | None:
        """Return the next entry to evict; None if all entries are in use."""
        for name in self.order:
            resident = self.residents[name]
            if resident.pins == 0 and not resident.is_moving:
                return resident
        return None

    @property
    def resident_bytes(self) -> int:
        """Bytes of all residents."""
        return sum(resident.entry.size for resident in self.residents.values())

    def account(self) -> TierAccount:
        """Return the account of the entries."""
        return TierAccount(
            len(self.residents),
            self.offloads,
            self.written_bytes,
            self.evicted_bytes,
            self.peak_bytes,
        )

    def close(self) -> None:
        """Remove every entry, and check the account of bytes."""
        try:
            for key in self.residents:
                self.store.delete(key)
        finally:
            self.store.close()
        self.check_conservation()
        self.residents.clear()

    def check_conservation(self) -> None:
        """Raise AssertionError unless bytes written = resident + evicted."""
        if self.written_bytes != self.resident_bytes + self.evicted_bytes:
            raise AssertionError(
                f"tier {self.name}: {self.written_bytes} bytes written, but "
                f"{self.resident_bytes} resident and {self.evicted_bytes} evicted"
            )
