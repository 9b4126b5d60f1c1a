"""The cache over all tiers: entries are written at the top, sink as they age, and fall off the end.

An entry in use is held and stays; one that is being moved down can be read where it was until the
move is complete.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import ExitStack

from mlpstorage_bench.errors import CapacityError
from mlpstorage_bench.kvcache.cache.client import CacheClient
from mlpstorage_bench.kvcache.cache.index import WAIT_S, Held, Index
from mlpstorage_bench.kvcache.cache.tier import Resident, Tier, TierAccount
from mlpstorage_bench.storage.buffers import round_up_to_sector
from mlpstorage_bench.storage.lane import CutOffError


class WriteLimitError(Exception):
    """What a rank may write to storage in one trial is spent; no fault."""


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
        self.index = Index(self.tiers)
        """Which entries there are; there they are held, and released."""
        self._storage = self.tiers[-1]
        self._write_limit = storage_write_limit
        self._promotes = promotes
        """Whether an entry that was read moves up to the highest tier."""
        self._admitted_bytes = 0
        self._generations = itertools.count()
        """Every write's is its own: what is written under a key again differs from before."""

    def read_held(
        self,
        held: Held,
        client: CacheClient,
        asked_ns: int | None = None,
        *,
        is_repeated: bool = False,
    ) -> str:
        """Read and check an entry that is held; return its tier's name."""
        tier, resident = held
        client.read(tier, resident.entry, asked_ns, is_repeated=is_repeated)
        return tier.name

    def read(
        self,
        key: str,
        client: CacheClient,
        asked_ns: int | None = None,
        *,
        is_repeated: bool = False,
    ) -> str | None:
        """Read and check an entry; return its tier's name, or None when it is not in the cache.

        `asked_ns` is when the entry was wanted; now, unless said. A repeated read is of an entry
        that the same request has read before.
        """
        held = self.index.hold(key)
        if held is None:
            return None
        try:
            self.read_held(held, client, asked_ns, is_repeated=is_repeated)
        finally:
            self.index.release(held)
        self.promote(held, client)
        return held.tier.name

    def write(self, key: str, size: int, client: CacheClient, asked_ns: int | None = None) -> str:
        """Write an entry into the highest tier that takes it; return that tier's name.

        What the cache has under this key goes first, once nobody uses it.
        """
        size = round_up_to_sector(size)
        asked_ns = client.recorder.window.clock.now_ns() if asked_ns is None else asked_ns
        self.index.remove(key, client.lane.stopping)
        tier = self._reserve(size, 0, client)
        try:
            entry = client.write(tier, key, size, asked_ns, generation=next(self._generations))
        except BaseException:
            self.index.give_back(tier, size)
            raise
        self.index.add(tier, entry)
        return tier.name

    def promote(self, held: Held, client: CacheClient) -> None:
        """Move an entry that was read, and is released, up to the top if the cache does so."""
        if self._promotes and held.tier is not self.tiers[0]:
            self._promote(held.tier, held.resident, client)

    def account(self) -> dict[str, TierAccount]:
        """Return what became of the entries, by tier."""
        return {tier.name: tier.account() for tier in self.tiers}

    def close(self) -> None:
        """Remove every entry of every tier; raises what went wrong, once all have been closed."""
        with ExitStack() as closing:
            for tier in self.tiers:
                closing.callback(tier.close)
        self.index.clear()

    def _reserve(self, size: int, highest: int, client: CacheClient) -> Tier:
        """Make room for `size` bytes in the first tier from `highest` down that can have it."""
        for tier in self.tiers[highest:-1]:
            if tier.takes(size) and self._make_room(tier, size, client):
                return tier
        if self._storage.takes(size):
            self._make_room_on_storage(size, client)
            return self._storage
        raise CapacityError(
            f"An entry of {size / 2**20:.0f} MiB does not fit the storage tier's capacity of "
            f"{self._storage.capacity_bytes / 2**20:.0f} MiB: raise storage_capacity_gb, or free "
            "space on the cache directory's filesystem"
        )

    def _make_room(self, tier: Tier, size: int, client: CacheClient) -> bool:
        """Reserve room above storage, moving the first to go down; False where all are in use."""
        while True:
            with self.index.changed:
                if tier.has_room(size):
                    tier.reserve(size)
                    return True
                victim = tier.first_idle()
                if victim is None:
                    return False
                victim.is_leaving = True
            try:
                self._demote(tier, victim, client)
            except BaseException:
                with self.index.changed:
                    victim.is_leaving = False
                raise

    def _make_room_on_storage(self, size: int, client: CacheClient) -> None:
        """Reserve room on storage, evicting the first to go; waits where all are in use."""
        while True:
            with self.index.changed:
                if self._storage.has_room(size):
                    self._admit(size)
                    self._storage.reserve(size)
                    return
                victim = self._storage.first_idle()
                if victim is None:
                    self.index.changed.wait(WAIT_S)
                else:
                    self.index.forget(self._storage, victim)
            is_stopping = client.lane.stopping.is_set()
            if victim is not None:
                self.index.discard(self._storage, victim)
            if is_stopping:
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
        """Move an entry that was read up to the top, unless it is in use or too large for it."""
        top, entry = self.tiers[0], resident.entry
        with self.index.changed:
            is_here = tier.residents.get(entry.name) is resident
            if not is_here or resident.is_leaving or resident.pins or not top.takes(entry.size):
                return
            resident.is_leaving = True
        try:
            if self._make_room(top, entry.size, client):
                self._move(tier, resident, top, client)
        finally:
            with self.index.changed:
                resident.is_leaving = False
                self.index.changed.notify_all()

    def _move(self, tier: Tier, resident: Resident, target: Tier, client: CacheClient) -> None:
        """Copy an entry into room that is reserved for it, and let the copy take its place."""
        entry = resident.entry
        try:
            self.index.wait_until_gone(target, entry.name, client.lane.stopping)
            client.copy(tier, target, entry)
        except BaseException:
            self.index.give_back(target, entry.size)
            raise
        self.index.move(tier, resident, target)
