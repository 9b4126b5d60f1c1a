"""Layout `entry`: one file per cache entry, streamed; the shape of the reference's cache.

A file is named by the digest of its entry's name, which may come from a trace and be any text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlpstorage_bench.paths import digest_name
from mlpstorage_bench.storage.file_mover import FileMover, FilePlace
from mlpstorage_bench.storage.files import DATA_SUFFIX, DataFile, FileIo, remove
from mlpstorage_bench.storage.lane_waits import off_thread
from mlpstorage_bench.storage.queue_calls import off_lane
from mlpstorage_bench.storage.store import Observer


class EntryFiles:
    """Directory with one file per entry."""

    stores_data = True

    def __init__(self, directory: Path, io: FileIo) -> None:
        self._directory = directory
        self._io = io
        self._created: set[str] = set()
        """Names of the entries whose files were created here: no other file is ever removed."""

    def footprint(self, size: int) -> int:
        """Return the entry's size."""
        return size

    @contextmanager
    def writer(self, name: str, size: int, observer: Observer) -> Iterator[EntryFile]:
        """Create the entry's file."""
        file = self._io.create(self._path(name), size)
        self._created.add(name)
        try:
            writer = EntryFile(file, observer, self._io)
            yield writer
            if self._io.needs_sync:
                off_lane(writer.make_durable, file)
        finally:
            file.close()

    @contextmanager
    def reader(self, name: str, observer: Observer) -> Iterator[EntryFile]:
        """Open the entry's file."""
        file = self._io.open_stored(self._path(name))
        try:
            yield EntryFile(file, observer, self._io)
        finally:
            file.close()

    def delete(self, name: str) -> None:
        """Remove the entry's file, if one was created."""
        if name in self._created:
            off_thread(remove, self._path(name))
            self._created.discard(name)

    def close(self) -> None:
        """Do nothing: the store has no other resources."""

    def _path(self, name: str) -> Path:
        return self._directory / f"{digest_name(name)}{DATA_SUFFIX}"


class EntryFile(FileMover):
    """Transfers of one entry that is stored in one file."""

    def __init__(self, file: DataFile, observer: Observer, io: FileIo) -> None:
        super().__init__(observer, io)
        self._file = file

    def place(self, offset: int) -> FilePlace:
        """Return the entry's file; offsets in file and entry are equal."""
        return self._file, offset
