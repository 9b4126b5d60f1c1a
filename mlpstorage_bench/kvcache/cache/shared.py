"""Entries that many requests share: written once, by whoever asks first, and read by all others.

A request finds the longest prefix of its blocks that the cache has and holds it: what is held has
readers counted, and is not evicted. What is missing from there on it claims, all at once, and
writes; whoever wants a claimed block waits for it. A request that writes holds nothing, so that
there is always something to evict.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mlpstorage_bench.kvcache.cache.index import Held, Index
from mlpstorage_bench.storage.lane import CutOffError

_WAIT_S = 0.05


@dataclass(frozen=True)
class Found:
    """What there is of a request's blocks: some are held, or some are to be written, never both."""

    held: Sequence[Held]
    """From the first block on."""
    claimed: Sequence[str]
    """Keys of what is missing, where the first block is: for the finder to write."""


class SharedEntries:
    """Who is about to write which entry, beside the index of those that are written."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._coming: set[str] = set()
        self._changed = threading.Condition()

    @contextmanager
    def find(self, keys: Sequence[str], stopping: threading.Event) -> Iterator[Found]:
        """Hold what the cache has of these, from the first on; else claim what it lacks.

        Waits where another is about to write the first. What is still claimed at the end, because
        something went wrong, is anybody's again.
        """
        with self._changed:
            while keys[0] in self._coming:
                if stopping.is_set():
                    raise CutOffError
                self._changed.wait(_WAIT_S)
            held = self._hold_prefix(keys)
            claimed = () if held else tuple(key for key in keys if self._is_missing(key))
            self._coming.update(claimed)
        try:
            yield Found(held, claimed)
        finally:
            for one in held:
                self._index.release(one)
            with self._changed:
                self._coming.difference_update(claimed)
                self._changed.notify_all()

    def written(self, key: str) -> None:
        """Let those who wait for a claimed entry have it."""
        with self._changed:
            self._coming.discard(key)
            self._changed.notify_all()

    def _hold_prefix(self, keys: Sequence[str]) -> list[Held]:
        held: list[Held] = []
        for key in keys:
            one = None if key in self._coming else self._index.hold(key)
            if one is None:
                break
            held.append(one)
        return held

    def _is_missing(self, key: str) -> bool:
        return key not in self._coming and key not in self._index
