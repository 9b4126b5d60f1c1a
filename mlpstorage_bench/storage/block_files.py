"""Layout `block`: one file per block of tokens, like the file tiers of inference engines.

A block's file is named by its number and the digest of its entry's name, which may be any text. It
lies two directory levels deep, by a hash of that. It is written under a temporary name and renamed
when complete, so that no reader ever finds half a block.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import xxhash

from mlpstorage_bench.paths import digest_name
from mlpstorage_bench.storage.failures import storage_error
from mlpstorage_bench.storage.file_mover import FileMover, FilePlace
from mlpstorage_bench.storage.files import DATA_SUFFIX, DataFile, FileIo, remove
from mlpstorage_bench.storage.lane_waits import off_thread
from mlpstorage_bench.storage.own_files import BLOCKS_DIRECTORY, remove_own
from mlpstorage_bench.storage.queue_calls import off_lane
from mlpstorage_bench.storage.store import Location, Observer

_TEMPORARY = ".tmp"


class BlockFiles:
    """Directory tree with one file per `block_bytes`; an entry's last block may be smaller."""

    stores_data = True

    def __init__(self, directory: Path, io: FileIo, block_bytes: int) -> None:
        self._root = directory / BLOCKS_DIRECTORY
        self._io = io
        self._block_bytes = block_bytes
        self._entries: dict[str, _Blocks] = {}
        try:
            self._root.mkdir()
        except OSError as error:
            raise storage_error("creating", self._root, error) from error

    def footprint(self, size: int) -> int:
        """Return the entry's size: blocks are not padded."""
        return size

    @contextmanager
    def writer(self, name: str, size: int, observer: Observer) -> Iterator[_BlockWriter]:
        """Create the entry's blocks as their chunks come."""
        blocks = _Blocks(self._root, digest_name(name), size, self._block_bytes)
        self._entries[name] = blocks
        writer = _BlockWriter(blocks, partial(self._create, blocks), observer, self._io)
        try:
            yield writer
        finally:
            writer.close()

    @contextmanager
    def reader(self, name: str, observer: Observer) -> Iterator[_BlockReader]:
        """Open each of the entry's blocks on the first request for one of its chunks."""
        blocks = self._entries[name]
        reader = _BlockReader(blocks, partial(self._open, blocks), observer, self._io)
        try:
            yield reader
        finally:
            reader.close()

    def delete(self, name: str) -> None:
        """Remove those of the entry's blocks that were created."""
        blocks = self._entries.pop(name, None)
        if blocks is None:
            return
        off_thread(blocks.remove)

    def close(self) -> None:
        """Remove the directories, and what there is of entries."""
        try:
            remove_own(self._root)
        except OSError as error:
            raise storage_error("removing", self._root, error) from error

    def _create(self, blocks: _Blocks, index: int) -> DataFile:
        """Create a block under its temporary name, and its two directories where missing."""
        path = blocks.path(index)
        off_thread(_make_directories, path)
        file = self._io.create(_temporary(path), blocks.bytes_of(index))
        blocks.created[index] = True
        return file

    def _open(self, blocks: _Blocks, index: int) -> DataFile:
        return self._io.open_stored(blocks.path(index))


def _make_directories(path: Path) -> None:
    for directory in (path.parent.parent, path.parent):  # never the root: it may have vanished
        try:
            directory.mkdir(exist_ok=True)
        except OSError as error:
            raise storage_error("creating", directory, error) from error


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + _TEMPORARY)


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Locations and sizes of an entry's blocks."""

    root: Path
    stem: str
    """Prefix of its file names."""
    size: int
    block_bytes: int
    created: bytearray = field(init=False)
    """Whether each block's file was created here; no other file is removed."""

    def __post_init__(self) -> None:
        count = -(-self.size // self.block_bytes)
        object.__setattr__(self, "created", bytearray(count))

    def path(self, index: int) -> Path:
        name = f"{self.stem}.{index}"
        digest = xxhash.xxh3_64_hexdigest(name.encode())
        return self.root / digest[:2] / digest[2:4] / f"{name}{DATA_SUFFIX}"

    def remove(self) -> None:
        """Remove the files that were created, complete or not."""
        for index in (index for index, is_created in enumerate(self.created) if is_created):
            path = self.path(index)
            remove(path)
            remove(_temporary(path))

    def bytes_of(self, index: int) -> int:
        return min(self.block_bytes, self.size - index * self.block_bytes)


class _OpenBlocks(FileMover):
    """Blocks with chunks in flight: a block is open from its first chunk to its last."""

    def __init__(
        self,
        blocks: _Blocks,
        open_file: Callable[[int], DataFile],
        observer: Observer,
        io: FileIo,
    ) -> None:
        super().__init__(observer, io)
        self._blocks = blocks
        self._open_file = open_file
        self._open: dict[int, tuple[DataFile, int]] = {}
        """Block index → file, and the number of bytes still to be moved."""

    def place(self, offset: int) -> FilePlace:
        """Return the block's file and the offset in it."""
        index, within = divmod(offset, self._blocks.block_bytes)
        if index not in self._open:
            size = self._blocks.bytes_of(index)
            self._open[index] = (off_lane(self._open_file, index), size)
        return self._open[index][0], within

    def locate(self, offset: int) -> Location:
        """Return the block's file and the offset in it, without opening it."""
        index, within = divmod(offset, self._blocks.block_bytes)
        return Location(str(self._blocks.path(index)), within)

    def moved(
        self, size: int, offset: int, started_ns: int, ended_ns: int, late_ns: int = 0
    ) -> None:
        """Record a chunk as moved; the last chunk completes its block."""
        super().moved(size, offset, started_ns, ended_ns, late_ns)
        self._count_down(size, offset)

    def cached(
        self, size: int, offset: int, started_ns: int, ended_ns: int, late_ns: int = 0
    ) -> None:
        """Record a chunk as written to the page cache; the last chunk completes its block."""
        super().cached(size, offset, started_ns, ended_ns, late_ns)
        self._count_down(size, offset)

    def _count_down(self, size: int, offset: int) -> None:
        index = offset // self._blocks.block_bytes
        file, missing = self._open[index]
        if missing > size:
            self._open[index] = (file, missing - size)
            return
        del self._open[index]  # `_complete` closes it, not `close`
        self._complete(index, file)

    @abstractmethod
    def _complete(self, index: int, file: DataFile) -> None:
        """Finish a block after its last chunk."""

    def close(self) -> None:
        """Close the incomplete blocks."""
        for file, _ in self._open.values():
            file.close()


class _BlockWriter(_OpenBlocks):
    def _complete(self, index: int, file: DataFile) -> None:
        off_lane(self._rename_durable, index, file)

    def _rename_durable(self, index: int, file: DataFile) -> None:
        try:
            self.make_durable(file)
        except BaseException:
            file.close()
            raise
        off_thread(self._rename, index, file)

    def _rename(self, index: int, file: DataFile) -> None:
        file.close()
        try:
            file.path.rename(self._blocks.path(index))
        except OSError as error:
            raise storage_error("renaming", file.path, error) from error


class _BlockReader(_OpenBlocks):
    def _complete(self, index: int, file: DataFile) -> None:
        del index
        file.close()
