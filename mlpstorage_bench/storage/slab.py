"""Layout `slab`: preallocated files with slots of fixed size, and a list of free slots.

No file is created, extended or removed when entries are written or deleted. An entry uses as many
slots as it needs, not necessarily adjacent; the rest of its last slot stays unused.
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
"""Smallest size of a slab's file."""
MAX_FILES = 256
"""Limit on files, which are all kept open; a larger slab has larger files."""


class Slab:
    """Slots of `slot_bytes` in files of `capacity_bytes` in total.

    The first file is preallocated at the start, each further one when the earlier ones are full.
    Slots are reused in the order in which they became free.
    """

    stores_data = True

    def __init__(self, directory: Path, io: FileIo, slot_bytes: int, capacity_bytes: int) -> None:
        self._directory = directory
        self._io = replace(io, reserves=False)  # files are preallocated here
        self._slot_bytes = slot_bytes
        self._slots = capacity_bytes // slot_bytes
        file_bytes = max(FILE_BYTES, capacity_bytes // MAX_FILES)
        self._slots_per_file = max(1, file_bytes // slot_bytes)
        self._files: list[DataFile] = []
        self._free: deque[int] = deque()
        self._entries: dict[str, list[int]] = {}
        self._lock = threading.Lock()
        if self._slots:
            self._grow()

    def footprint(self, size: int) -> int:
        """Return the size of the slots that an entry uses."""
        return self._slots_for(size) * self._slot_bytes

    @contextmanager
    def writer(self, name: str, size: int, observer: Observer) -> Iterator[_Slots]:
        """Allocate the slots for the entry."""
        with self._lock:
            slots = self._take(self._slots_for(size))
            self._entries[name] = slots
        view = self._view(slots, observer)
        yield view
        for number in sorted({slot // self._slots_per_file for slot in slots}):
            view.make_durable(self._files[number])

    @contextmanager
    def reader(self, name: str, observer: Observer) -> Iterator[_Slots]:
        """Give access to the entry's slots."""
        with self._lock:
            slots = self._entries[name]
        view = self._view(slots, observer)
        view.drop_cached_pages()
        yield view

    def delete(self, name: str) -> None:
        """Put the entry's slots at the end of the free list."""
        with self._lock:
            self._free.extend(self._entries.pop(name, ()))

    def close(self) -> None:
        """Close and remove all files, then raise the error if one failed."""
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
                "storage_capacity_gb, or lower tokens_per_block so that slots are better filled"
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
    """One entry's slots in order: file, and slot number within the file."""

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
        """Return the file of the slot, and the offset in it."""
        index, within = divmod(offset, self._slot_bytes)
        file, number = self._places[index]
        return FilePlace(file, number * self._slot_bytes + within)

    def drop_cached_pages(self, of: DataFile | None = None) -> None:
        """Drop the pages of the slots in one file, or in all, from the page cache."""
        for file, number in self._places:
            if of is None or file is of:
                file.drop_cached_pages(number * self._slot_bytes, self._slot_bytes)

    def _drop_written(self, file: DataFile) -> None:
        """Drop this entry's slots alone: other lanes may be reading theirs."""
        self.drop_cached_pages(file)
