"""One tier: its store, what is resident in it, what goes first, and the account of its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mlpstorage_bench.kvcache.cache.eviction import PolicyName, eviction_policy
from mlpstorage_bench.storage.store import Store, StoredEntry

STORAGE_TIER = "storage"
"""Name of the lowest tier, which is the storage to be measured."""
TARGET_USAGE = 0.8
"""Room is made down to this share of a tier, so that not every write has to make some."""
LARGEST_ENTRY = 0.95
"""An entry above this share of a tier goes to the next one."""


@dataclass(eq=False)
class Resident:
    """An entry that a tier holds."""

    entry: StoredEntry
    pins: int = 0
    """Operations that are using it; it may not go while there are any."""
    is_leaving: bool = False
    """It is being moved down; it can still be read here meanwhile."""


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


class Tier:
    """A tier's residents and bytes. Not locked: the cache's index has the lock.

    `used_bytes` covers residents, room reserved for entries being written, and entries that left
    the index and wait for their last reader; each with what it occupies in the store.
    """

    def __init__(
        self, name: str, store: Store, capacity_bytes: int, policy: PolicyName = "lru"
    ) -> None:
        self.name = name
        self.store = store
        self.capacity_bytes = capacity_bytes
        self.used_bytes = 0
        self.peak_bytes = 0
        """The most that was used."""
        self.offloads = 0
        """Entries placed here because a higher tier could not take or keep them."""
        self.written_bytes = 0
        """Of entries that were written completely."""
        self.evicted_bytes = 0
        """Of entries that went, to a lower tier or for good."""
        self.residents: dict[str, Resident] = {}
        self.order = eviction_policy(policy)
        """Names of the residents, the one to go first first."""

    def takes(self, size: int) -> bool:
        """Whether an entry of this size may be placed here at all."""
        return self.store.footprint(size) <= LARGEST_ENTRY * self.capacity_bytes

    def has_room(self, size: int) -> bool:
        """Whether an entry fits now; large ones may use the whole tier."""
        footprint = self.store.footprint(size)
        limit = max(TARGET_USAGE * self.capacity_bytes, footprint)
        return self.used_bytes + footprint <= limit

    def reserve(self, size: int) -> None:
        """Take room for an entry of this size."""
        self.used_bytes += self.store.footprint(size)
        self.peak_bytes = max(self.peak_bytes, self.used_bytes)

    def release(self, size: int) -> None:
        """Give back the room of an entry of this size."""
        self.used_bytes -= self.store.footprint(size)

    def add(self, resident: Resident) -> None:
        """Take in an entry that was written completely."""
        self.residents[resident.entry.name] = resident
        self.order.add(resident.entry.name)
        self.written_bytes += resident.entry.size

    def remove(self, resident: Resident) -> None:
        """Let an entry go: its bytes stay in use until they are released."""
        del self.residents[resident.entry.name]
        self.order.remove(resident.entry.name)
        self.evicted_bytes += resident.entry.size

    def first_idle(self) -> Resident | None:
        """Return the first entry to go that nothing is using; None when all are in use."""
        for name in self.order:
            resident = self.residents[name]
            if resident.pins == 0 and not resident.is_leaving:
                return resident
        return None

    @property
    def resident_bytes(self) -> int:
        """Bytes of all residents."""
        return sum(resident.entry.size for resident in self.residents.values())

    def account(self) -> TierAccount:
        """Return what became of the entries."""
        return TierAccount(
            len(self.residents),
            self.offloads,
            self.written_bytes,
            self.evicted_bytes,
            self.peak_bytes,
        )

    def close(self) -> None:
        """Remove every entry, and check that no byte went unaccounted for."""
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
