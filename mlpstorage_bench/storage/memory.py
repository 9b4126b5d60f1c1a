"""Store in memory, for the tiers above storage."""

from __future__ import annotations

import mmap
import time
from collections.abc import Iterator
from contextlib import contextmanager

from mlpstorage_bench.storage.store import Location, Observer


class MemoryStore:
    """Entries in slots of memory; slots are allocated on first use and reused afterwards."""

    stores_data = True

    def __init__(self, slot_bytes: int) -> None:
        self._slot_bytes = slot_bytes
        self._free: list[memoryview] = []
        self._entries: dict[str, list[memoryview]] = {}

    @property
    def has_free_slots(self) -> bool:
        """Whether there are slots that entries have used before."""
        return bool(self._free)

    def footprint(self, size: int) -> int:
        """Return the entry's size; the rest of its last slot counts as memory of the harness."""
        return size

    @contextmanager
    def writer(self, name: str, size: int, observer: Observer) -> Iterator[_Slots]:
        """Allocate the slots for an entry of `size` bytes."""
        count = -(-size // self._slot_bytes)
        if name in self._entries:
            raise ValueError(f"entry {name!r} exists already")
        slots = [self._free.pop() for _ in range(min(count, len(self._free)))]
        missing = count - len(slots)
        slots += [memoryview(mmap.mmap(-1, self._slot_bytes)) for _ in range(missing)]
        self._entries[name] = slots
        yield _Slots(name, slots, self._slot_bytes, observer)

    @contextmanager
    def reader(self, name: str, observer: Observer) -> Iterator[_Slots]:
        """Give access to an entry's slots."""
        yield _Slots(name, self._entries[name], self._slot_bytes, observer)

    def delete(self, name: str) -> None:
        """Free the entry's slots for other entries."""
        self._free += self._entries.pop(name, [])

    def close(self) -> None:
        """Release the memory of the free slots."""
        self._free.clear()


class _Slots:
    """One entry's slots."""

    def __init__(
        self, name: str, slots: list[memoryview], slot_bytes: int, observer: Observer
    ) -> None:
        self._name = name
        self._slots = slots
        self._slot_bytes = slot_bytes
        self._observer = observer

    def put(self, data: memoryview, offset: int) -> None:
        """Copy a chunk into its slots."""
        started = time.perf_counter_ns()
        for part, slot in self._parts(data, offset):
            slot[:] = part
        self._observer.chunk(len(data), started, time.perf_counter_ns())

    def get(self, data: memoryview, offset: int) -> None:
        """Copy a chunk from its slots."""
        started = time.perf_counter_ns()
        for part, slot in self._parts(data, offset):
            part[:] = slot
        self._observer.chunk(len(data), started, time.perf_counter_ns())

    def locate(self, offset: int) -> Location:
        """Return the entry's name: memory has no file."""
        return Location(f"memory:{self._name}", offset)

    def _parts(self, data: memoryview, offset: int) -> Iterator[tuple[memoryview, memoryview]]:
        """Yield each part of `data` with its part of a slot."""
        done = 0
        while done < len(data):
            index, within = divmod(offset + done, self._slot_bytes)
            length = min(self._slot_bytes - within, len(data) - done)
            yield data[done : done + length], self._slots[index][within : within + length]
            done += length
