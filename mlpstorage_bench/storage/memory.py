"""Entries in memory: the tier above storage, with the same interface."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class MemoryStore:
    """Entries in slots of one chunk each; memory is taken on first use and reused after."""

    def __init__(self, slot_bytes: int) -> None:
        self._slot_bytes = slot_bytes
        self._free: list[mmap.mmap] = []
        self._entries: dict[str, list[mmap.mmap]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def writer(self, name: str, size: int) -> Iterator[_Slots]:
        """Take the slots that an entry of `size` bytes needs."""
        count = -(-size // self._slot_bytes)
        with self._lock:
            if name in self._entries:
                raise ValueError(f"entry {name!r} exists already")
            slots = [self._free.pop() for _ in range(min(count, len(self._free)))]
            slots += [mmap.mmap(-1, self._slot_bytes) for _ in range(count - len(slots))]
            self._entries[name] = slots
        yield _Slots(name, slots, self._slot_bytes)

    @contextmanager
    def reader(self, name: str) -> Iterator[_Slots]:
        """Give access to an entry's slots."""
        with self._lock:
            slots = self._entries[name]
        yield _Slots(name, slots, self._slot_bytes)

    def delete(self, name: str) -> None:
        """Put the entry's slots back for others to use."""
        with self._lock:
            self._free += self._entries.pop(name, [])


class _Slots:
    """One entry's slots."""

    def __init__(self, name: str, slots: list[mmap.mmap], slot_bytes: int) -> None:
        self.path = f"memory:{name}"
        self._slots = slots
        self._slot_bytes = slot_bytes

    def put(self, data: memoryview, offset: int) -> None:
        """Copy a chunk into its slot."""
        self._slots[offset // self._slot_bytes][: len(data)] = data

    def get(self, data: memoryview, offset: int) -> None:
        """Copy a chunk from its slot."""
        slot = memoryview(self._slots[offset // self._slot_bytes])
        data[:] = slot[: len(data)]

    def make_durable(self) -> bool:
        """Memory is as durable as it gets."""
        return False
