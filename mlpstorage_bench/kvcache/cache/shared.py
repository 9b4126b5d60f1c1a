"""Entries that requests share: the first request writes them, all others read them.

A request pins the longest prefix of its blocks that the cache has; pinned entries are not evicted.
If the cache does not have its first block, the request claims all its missing blocks at once and
writes them; other requests wait for claimed blocks. A request that writes pins nothing, so that
there is always an entry to evict.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mlpstorage_bench.kvcache.cache.index import Index, PinnedEntry
from mlpstorage_bench.storage.lane_waits import WaitList


@dataclass(frozen=True)
class PrefixMatch:
    """Blocks of a request that are in the cache, or to be written; one of the two is empty."""

    pinned: Sequence[PinnedEntry]
    """The longest prefix in the cache."""
    claimed: Sequence[str]
    """Keys that this request has to write, if the first block is missing."""


class SharedEntries:
    """Claims on entries that are being written, in addition to the index of written ones."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._claimed: set[str] = set()
        self._changed = WaitList()

    @contextmanager
    def match_prefix(self, keys: Sequence[str], stopping: threading.Event) -> Iterator[PrefixMatch]:
        """Pin the longest prefix in the cache; if it is empty, claim the missing keys.

        Waits while another request is writing the first key. On exit, remaining claims end: after a
        failure other requests can claim these keys.
        """
        while keys[0] in self._claimed:
            self._changed.wait_unless(stopping)
        pinned = self._pin_prefix(keys)
        claimed = () if pinned else tuple(key for key in keys if self._is_missing(key))
        self._claimed.update(claimed)
        try:
            yield PrefixMatch(pinned, claimed)
        finally:
            for entry in pinned:
                self._index.unpin(entry)
            if claimed:
                self._claimed.difference_update(claimed)
                self._changed.notify_all()

    def mark_written(self, key: str) -> None:
        """End the claim on a key, so that waiting requests can read it."""
        self._claimed.discard(key)
        self._changed.notify_all()

    def _pin_prefix(self, keys: Sequence[str]) -> list[PinnedEntry]:
        pinned: list[PinnedEntry] = []
        for key in keys:
            entry = None if key in self._claimed else self._index.pin(key)
            if entry is None:
                break
            pinned.append(entry)
        return pinned

    def _is_missing(self, key: str) -> bool:
        return key not in self._claimed and key not in self._index
