"""Layout `slab`: preallocated files with fixed slots, and a list of those that are free.

No file is created, grown or removed while entries come and go. An entry takes as many slots as it
needs, wherever they are free; the rest of its last slot stays unused.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from mlpstorage_bench.errors import CapacityError, StorageError
from mlpstorage_bench.storage.file_mover import FileMover, FilePlace
from mlpstorage_bench.storage.files import DATA_SUFFIX, DataFile, FileIo, remove
from mlpstorage_bench.storage.store import Observer

FILE_BYTES = 1 << 30
"""Least size of a slab's file."""
MOST_FILES = 256
"""All are kept open; a larger slab has larger files instead of more."""


class Slab:
    """Slots of `slot_bytes` in files that together hold `capacity_bytes`.

    The first file is preallocated at once, each further one as soon as those before it are full.
    Slots are reused in the order in which they became free.
    """

    stores_data = True

    def __init__(self, directory: Path, io: FileIo, slot_bytes: int, capacity_bytes: int) -> None:
        self._directory = directory
        self._io = replace(io, reserves=False)  # files are preallocated here
        self._slot_bytes = slot_bytes
        self._slots = capacity_bytes // slot_bytes
        file_bytes = max(FILE_BYTES, capacity_bytes // MOST_FILES)
        self._slots_per_file = max(1, file_bytes // slot_bytes)
        self._files: list[DataFile] = []
        self._free: deque[int] = deque()
        self._entries: dict[str, list[int]] = {}
        self._lock = threading.Lock()
        if self._slots:
            self._grow()

    def footprint(self, size: int) -> int:
        """Return the size of the slots that an entry takes."""
        return self._slots_for(size) * self._slot_bytes

    @contextmanager
    def writer(self, name: str, size: int, observer: Observer) -> Iterator[_Slots]:
        """Take the slots that the entry needs."""
        with self._lock:
            slots = self._take(self._slots_for(size))
            self._entries[name] = slots
        yield self._view(slots, observer)
        for number in sorted({slot // self._slots_per_file for slot in slots}):
            self._files[number].settle(observer)

    @contextmanager
    def reader(self, name: str, observer: Observer) -> Iterator[_Slots]:
        """Give access to the entry's slots."""
        with self._lock:
            slots = self._entries[name]
        view = self._view(slots, observer)
        view.forget_pages()
        yield view

    def delete(self, name: str) -> None:
        """Put the entry's slots at the end of the free list."""
        with self._lock:
            self._free.extend(self._entries.pop(name, ()))

    def close(self) -> None:
        """Remove the files; raises what went wrong, once all have been closed."""
        with ExitStack() as closing:
            while self._files:
                file = self._files.pop()
                closing.callback(remove, file.path)
                closing.callback(file.close)

    def _slots_for(self, size: int) -> int:
        return -(-size // self._slot_bytes)

    def _take(self, count: int) -> list[int]:
        while len(self._free) < count:
            self._grow()
        return [self._free.popleft() for _ in range(count)]

    def _grow(self) -> None:
        first = len(self._files) * self._slots_per_file
        last = min(first + self._slots_per_file, self._slots)
        if first >= last:
            raise CapacityError(
                f"All {self._slots} slots of {self._slot_bytes / 2**20:g} MiB are in use: raise "
                "storage_capacity_gb, or lower tokens_per_block so that slots are filled better"
            )
        path = self._directory / f"slab-{len(self._files):03}{DATA_SUFFIX}"
        size = (last - first) * self._slot_bytes
        file = self._io.create(path, size)
        try:
            file.preallocate(size)
        except StorageError:
            file.close()
            remove(path)
            raise
        self._files.append(file)
        self._free.extend(range(first, last))

    def _view(self, slots: Sequence[int], observer: Observer) -> _Slots:
        places = [
            (self._files[slot // self._slots_per_file], slot % self._slots_per_file)
            for slot in slots
        ]
        return _Slots(places, self._slot_bytes, observer, is_direct=self._io.is_direct)


class _Slots(FileMover):
    """One entry's slots, in its order: file, and number within the file."""

    def __init__(
        self,
        places: Sequence[tuple[DataFile, int]],
        slot_bytes: int,
        observer: Observer,
        *,
        is_direct: bool,
    ) -> None:
        super().__init__(observer, is_direct=is_direct)
        self._places = places
        self._slot_bytes = slot_bytes

    def place(self, offset: int) -> FilePlace:
        """Return the slab's file that has the slot, and the offset in it."""
        index, within = divmod(offset, self._slot_bytes)
        file, number = self._places[index]
        return FilePlace(file, number * self._slot_bytes + within)

    def forget_pages(self) -> None:
        """Drop the slots' pages from the page cache."""
        for file, number in self._places:
            file.forget_pages(number * self._slot_bytes, self._slot_bytes)
