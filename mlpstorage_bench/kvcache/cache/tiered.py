"""Cache over all tiers: new entries go to the highest tier, old ones move down and are evicted.

Pinned entries are not selected for a move or eviction. An entry that is being moved can
be read in its old tier until the copy is complete.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import ExitStack

from mlpstorage_bench.errors import CapacityError
from mlpstorage_bench.kvcache.cache.client import CacheClient
from mlpstorage_bench.kvcache.cache.index import Index, PinnedEntry
from mlpstorage_bench.kvcache.cache.tier import Resident, Tier, TierAccount
from mlpstorage_bench.storage.buffers import SECTOR_BYTES, round_up_to_sector
from mlpstorage_bench.storage.lane_waits import CutOffError
from mlpstorage_bench.units import gib


class WriteLimitError(Exception):
    """A rank has reached its limit of bytes written to storage in one trial. Not an error."""


class TieredCache:
    """Entries by key, in tiers from the fastest to the storage."""

    def __init__(
        self,
        tiers: Sequence[Tier],
        storage_write_limit: int | None = None,
        *,
        promotes: bool = False,
        alignment_bytes: int = SECTOR_BYTES,
    ) -> None:
        self.tiers = tuple(tiers)
        self.index = Index(self.tiers)
        """Index of the entries, which also pins them."""
        self._storage = self.tiers[-1]
        self._write_limit = storage_write_limit
        self._promotes = promotes
        """Whether entries move to the highest tier after a read."""
        self._alignment_bytes = alignment_bytes
        """Unit of the sizes of entries, in every tier, as they are copied as they are."""
        self._admitted_bytes = 0
        self._generations = itertools.count()
        """Each write has its own generation, so that content under a reused key differs."""

    def read_pinned(
        self,
        pinned: PinnedEntry,
        client: CacheClient,
        requested_ns: int | None = None,
        *,
        is_repeated: bool = False,
    ) -> str:
        """Read and check a pinned entry; return its tier's name."""
        tier, resident = pinned
        client.read(tier, resident.entry, requested_ns, is_repeated=is_repeated)
        return tier.name

    def read(
        self,
        key: str,
        client: CacheClient,
        requested_ns: int | None = None,
        *,
        is_repeated: bool = False,
    ) -> str | None:
        """Read and check an entry; return its tier's name, or None if it is not in the cache.

        `requested_ns` is the time of the request; None: now. `is_repeated`: the same request has
        read the entry before.
        """
        pinned = self.index.pin(key)
        if pinned is None:
            return None
        try:
            self.read_pinned(pinned, client, requested_ns, is_repeated=is_repeated)
        finally:
            self.index.unpin(pinned)
        self.promote(pinned, client)
        return pinned.tier.name

    def write(
        self, key: str, size: int, client: CacheClient, requested_ns: int | None = None
    ) -> str:
        """Write an entry into the highest tier that accepts it; return that tier's name.

        An older entry of this key is removed before, as soon as no operation uses it.
        """
        size = round_up_to_sector(size, self._alignment_bytes)
        requested_ns = (
            client.recorder.window.clock.now_ns() if requested_ns is None else requested_ns
        )
        self.index.remove(key, client.lane.stopping)
        tier = self._reserve(size, 0, client)
        try:
            entry = client.write(tier, key, size, requested_ns, generation=next(self._generations))
        except BaseException:
            self.index.release_space(tier, size)
            raise
        self.index.add(tier, entry)
        return tier.name

    def promote(self, entry: PinnedEntry, client: CacheClient) -> None:
        """Move an entry that was read and unpinned to the highest tier, if promotion is on."""
        if self._promotes and entry.tier is not self.tiers[0]:
            self._promote(entry.tier, entry.resident, client)

    def account(self) -> dict[str, TierAccount]:
        """Return the account of each tier by name."""
        return {tier.name: tier.account() for tier in self.tiers}

    def close(self) -> None:
        """Remove all entries and close all tiers, then raise the error if one failed."""
        with ExitStack() as closing:
            for tier in self.tiers:
                closing.callback(tier.close)
        self.index.clear()

    def close_memory(self) -> Tier:
        """Close all tiers but storage, and return that; its entries stay until it is closed."""
        try:
            with ExitStack() as closing:
                for tier in self.tiers[:-1]:
                    closing.callback(tier.close)
        except BaseException:
            self._storage.close()
            raise
        self.index.clear()
        return self._storage

    def _reserve(self, size: int, highest: int, client: CacheClient) -> Tier:
        """Reserve `size` bytes in the highest possible tier, `highest` or lower."""
        for tier in self.tiers[highest:-1]:
            if tier.accepts(size) and self._reserve_by_demotion(tier, size, client):
                return tier
        if self._storage.accepts(size):
            self._reserve_on_storage(size, client)
            return self._storage
        raise CapacityError(
            f"An entry that takes {gib(self._storage.store.footprint(size))} GiB does not fit the "
            f"storage tier's capacity of {gib(self._storage.capacity_bytes)}: raise "
            "storage_capacity_gb, or free space on the cache directory's filesystem"
        )

    def _reserve_by_demotion(self, tier: Tier, size: int, client: CacheClient) -> bool:
        """Reserve space above storage by moving victims down; False if all entries are in use."""
        while True:
            if tier.has_space(size):
                tier.reserve(size)
                return True
            victim = tier.next_victim()
            if victim is None:
                return False
            victim.is_moving = True
            try:
                self._demote(tier, victim, client)
            except BaseException:
                victim.is_moving = False
                self.index.changed.notify_all()
                raise

    def _reserve_on_storage(self, size: int, client: CacheClient) -> None:
        """Reserve space on storage by evicting victims; waits while all entries are in use."""
        while True:
            if self._storage.has_space(size):
                self._admit(size)
                self._storage.reserve(size)
                return
            victim = self._storage.next_victim()
            if victim is None:
                self.index.changed.wait_unless(client.lane.stopping)
            else:
                self.index.detach(self._storage, victim)
                self.index.discard(self._storage, victim)
            if client.lane.stopping.is_set():
                raise CutOffError

    def _admit(self, size: int) -> None:
        if self._write_limit is not None and self._admitted_bytes + size > self._write_limit:
            raise WriteLimitError
        self._admitted_bytes += size

    def _demote(self, tier: Tier, victim: Resident, client: CacheClient) -> None:
        if client.lane.stopping.is_set():
            raise CutOffError
        lower = self._reserve(victim.entry.size, self.tiers.index(tier) + 1, client)
        self._move(tier, victim, lower, client)

    def _promote(self, tier: Tier, resident: Resident, client: CacheClient) -> None:
        """Move an entry to the highest tier, unless it is in use or too large for that tier."""
        top, entry = self.tiers[0], resident.entry
        is_here = tier.residents.get(entry.name) is resident
        if not is_here or resident.is_moving or resident.pins or not top.accepts(entry.size):
            return
        resident.is_moving = True
        try:
            if self._reserve_by_demotion(top, entry.size, client):
                self._move(tier, resident, top, client)
        finally:
            resident.is_moving = False
            self.index.changed.notify_all()

    def _move(self, tier: Tier, resident: Resident, target: Tier, client: CacheClient) -> None:
        """Copy an entry into reserved space, and replace it by the copy."""
        entry = resident.entry
        try:
            self.index.wait_until_deleted(target, entry.name, client.lane.stopping)
            client.copy(tier, target, entry)
        except BaseException:
            self.index.release_space(target, entry.size)
            raise
        self.index.move(tier, resident, target)
