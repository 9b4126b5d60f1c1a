"""Layout `entry`: one file per cache entry, streamed; the shape of the reference's cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlpstorage_bench.storage.files import DATA_SUFFIX, DataFile, FileIo, remove
from mlpstorage_bench.storage.store import Location, Observer


class EntryFiles:
    """A directory with a file per entry."""

    keeps_content = True

    def __init__(self, directory: Path, io: FileIo) -> None:
        self._directory = directory
        self._io = io

    def footprint(self, size: int) -> int:
        """Return the entry's own size."""
        return size

    @contextmanager
    def writer(self, name: str, size: int, observer: Observer) -> Iterator[_EntryFile]:  # noqa: ARG002 - a file grows as it is written
        """Create the entry's file."""
        file = self._io.create(self._path(name))
        try:
            yield _EntryFile(file, observer)
            file.settle(observer)
        finally:
            file.close()

    @contextmanager
    def reader(self, name: str, observer: Observer) -> Iterator[_EntryFile]:
        """Open the entry's file."""
        file = self._io.open(self._path(name))
        try:
            file.forget_pages()
            yield _EntryFile(file, observer)
        finally:
            file.close()

    def delete(self, name: str) -> None:
        """Remove the entry's file, if there is one."""
        remove(self._path(name))

    def close(self) -> None:
        """There is nothing beside the entries."""

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}{DATA_SUFFIX}"


class _EntryFile:
    def __init__(self, file: DataFile, observer: Observer) -> None:
        self._file = file
        self._observer = observer

    def put(self, data: memoryview, offset: int) -> None:
        """Write a chunk."""
        self._file.write(data, offset, self._observer)

    def get(self, data: memoryview, offset: int) -> None:
        """Read a chunk."""
        self._file.read(data, offset, self._observer)

    def locate(self, offset: int) -> Location:
        """Return the entry's file: its offsets are the entry's."""
        return Location(str(self._file.path), offset)
