"""Layout `slab`: preallocated files with slots of fixed size, and a list of free slots.

No file is created, extended or removed when entries are written or deleted. An entry uses as many
slots as it needs, not necessarily adjacent; the rest of its last slot stays unused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from mlpstorage_bench.errors import CapacityError, StorageError
from mlpstorage_bench.storage.file_mover import FileMover, FilePlace
from mlpstorage_bench.storage.files import DATA_SUFFIX, DataFile, FileIo, remove
from mlpstorage_bench.storage.lane_waits import WaitList, off_thread
from mlpstorage_bench.storage.queue_calls import off_lane
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
        self._is_growing = False
        self._grown = WaitList()
        if self._slots:
            self._add(self._next_file())

    def footprint(self, size: int) -> int:
        """Return the size of the slots that an entry uses."""
        return self._slots_for(size) * self._slot_bytes

    def writer(self, name: str, size: int, observer: Observer) -> _NewSlots:
        """Allocate the slots for the entry."""
        slots = self._take(self._slots_for(size))
        self._entries[name] = slots
        return _NewSlots(self._places(slots), self._slot_bytes, observer, self._io)

    def reader(self, name: str, observer: Observer) -> _Slots:
        """Give access to the entry's slots."""
        places = self._places(self._entries[name])
        return _Slots(places, self._slot_bytes, observer, self._io)

    def delete(self, name: str) -> None:
        """Put the entry's slots at the end of the free list."""
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
            if self._is_growing:  # by another lane
                self._grown.wait()
                continue
            self._is_growing = True
            try:
                self._add(off_lane(self._next_file))
            finally:
                self._is_growing = False
                self._grown.notify_all()
        return [self._free.popleft() for _ in range(count)]

    def _next_file(self) -> DataFile:
        """Create the next file with all its space."""
        slots = self._slots_of(len(self._files))
        if not slots:
            raise CapacityError(
                f"All {self._slots} slots of {self._slot_bytes / 2**20:g} MiB are in use: raise "
                "storage_capacity_gb, or lower tokens_per_block so that slots are better filled"
            )
        path = self._directory / f"slab-{len(self._files):03}{DATA_SUFFIX}"
        size = len(slots) * self._slot_bytes
        file = self._io.create(path, size)
        try:
            off_thread(file.preallocate, size)
        except StorageError:
            file.close()
            remove(path)
            raise
        return file

    def _add(self, file: DataFile) -> None:
        self._free.extend(self._slots_of(len(self._files)))
        self._files.append(file)

    def _slots_of(self, number: int) -> range:
        """Return the slots in a file, which exists or would be the next."""
        first = number * self._slots_per_file
        return range(first, min(first + self._slots_per_file, self._slots))

    def _places(self, slots: Sequence[int]) -> list[tuple[DataFile, int]]:
        return [
            (self._files[slot // self._slots_per_file], slot % self._slots_per_file)
            for slot in slots
        ]


class _Slots(FileMover):
    """One entry's slots in order: file, and slot number within the file. A context manager."""

    def __init__(
        self,
        places: Sequence[tuple[DataFile, int]],
        slot_bytes: int,
        observer: Observer,
        io: FileIo,
    ) -> None:
        super().__init__(observer, io)
        self._places = places
        self._slot_bytes = slot_bytes
        self._io = io

    def __enter__(self) -> Self:
        if not self.is_direct:
            off_thread(self.drop_cached_pages)
        return self

    def place(self, offset: int) -> FilePlace:
        """Return the file of the slot, and the offset in it."""
        index, within = divmod(offset, self._slot_bytes)
        file, number = self._places[index]
        return (file, number * self._slot_bytes + within)

    def drop_cached_pages(self, of: DataFile | None = None) -> None:
        """Drop the pages of the slots in one file, or in all, from the page cache."""
        for file, number in self._places:
            if of is None or file is of:
                file.drop_cached_pages(number * self._slot_bytes, self._slot_bytes)

    def _drop_written(self, file: DataFile) -> None:
        """Drop this entry's slots alone: other lanes may be reading theirs."""
        self.drop_cached_pages(file)


class _NewSlots(_Slots):
    """The slots of an entry that is written: durable as configured at the end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None and self._io.needs_sync:
            off_lane(self._make_all_durable)

    def _make_all_durable(self) -> None:
        for file in dict.fromkeys(file for file, _ in self._places):
            self.make_durable(file)
