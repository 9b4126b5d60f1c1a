"""A rank's files of all checkpoints: one directory for each, and what was written in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mlpstorage_bench.checkpointing.model.writers import CheckpointFile
from mlpstorage_bench.checkpointing.runner.part_chunks import PartChunking
from mlpstorage_bench.paths import digest_name, look_up
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.failures import storage_error
from mlpstorage_bench.storage.files import DATA_SUFFIX, Durability, FileIo, IoMode, remove
from mlpstorage_bench.storage.store import StoredEntry


@dataclass(frozen=True)
class ShareFile:
    """A file of a rank, the same in each checkpoint."""

    name: str
    tensor_bytes: int
    chunking: PartChunking

    @property
    def stored_bytes(self) -> int:
        """Its size."""
        return self.chunking.stored_bytes


class ShareFiles:
    """The files that a rank writes for each checkpoint, below its directory."""

    def __init__(
        self,
        directory: Path,
        files: Sequence[CheckpointFile],
        *,
        chunk_bytes: int,
        alignment_bytes: int,
    ) -> None:
        self._directory = directory
        self.files = tuple(
            ShareFile(
                file.name,
                file.tensor_bytes,
                PartChunking(chunk_bytes, parts=file.parts, alignment_bytes=alignment_bytes),
            )
            for file in files
        )
        self.written: dict[int, dict[str, StoredEntry]] = {}
        """Complete files by number of the checkpoint and name of the file."""

    @cached_property
    def tensor_bytes(self) -> int:
        """Bytes of tensors in the rank's share."""
        return sum(file.tensor_bytes for file in self.files)

    @cached_property
    def stored_bytes(self) -> int:
        """Bytes of the files of one checkpoint."""
        return sum(file.stored_bytes for file in self.files)

    def store(self, checkpoint: int, io: FileIo) -> EntryFiles:
        """Return the store of a checkpoint's files, in its directory, which is made."""
        directory = self.directory(checkpoint)
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise storage_error("creating", directory, error) from error
        return EntryFiles(directory, io)

    def directory(self, checkpoint: int) -> Path:
        """Return the directory of a checkpoint."""
        return self._directory / f"{checkpoint:02x}"

    def paths(self) -> Iterator[Path]:
        """Yield the paths of all complete files."""
        for checkpoint, entries in self.written.items():
            for name in entries:
                yield self._path(checkpoint, name)

    def is_complete(self, checkpoint: int) -> bool:
        """Whether all files of a checkpoint are there."""
        return self.written.get(checkpoint, {}).keys() == {file.name for file in self.files}

    def misfits(self, entries: Iterable[StoredEntry]) -> list[str]:
        """Return the names of files that are not as the rank would write them, or are missing."""
        found = {entry.name: entry for entry in entries}
        return [file.name for file in self.files if not _is_of(file, found.get(file.name))]

    def changed(self, checkpoint: int, entries: Iterable[StoredEntry]) -> list[str]:
        """Return the names of files of a checkpoint that its directory lacks in their sizes."""
        return [one.name for one in entries if not self._is_there(checkpoint, one)]

    def _is_there(self, checkpoint: int, entry: StoredEntry) -> bool:
        status = look_up("phase", self._path(checkpoint, entry.name))
        return status is not None and status.st_size == entry.size

    def drop(self, checkpoint: int, io: FileIo) -> None:
        """Drop the pages of a checkpoint's complete files from the page cache."""
        for name in self.written.get(checkpoint, {}):
            io.open_uncached(self._path(checkpoint, name)).close()

    def remove(self, checkpoint: int) -> None:
        """Remove the files of a checkpoint, complete or not."""
        self.written.pop(checkpoint, None)
        for file in self.files:
            remove(self._path(checkpoint, file.name))

    def _path(self, checkpoint: int, name: str) -> Path:
        return self.directory(checkpoint) / f"{digest_name(name)}{DATA_SUFFIX}"


def checkpoint_io(mode: IoMode, durability: Durability, *, has_device: bool) -> FileIo:
    """Return how files of checkpoints are moved: as those of programs that train.

    No drop of pages is in the time of a checkpoint: in buffered mode they stay in the page cache,
    and in uncached mode `ShareFiles.drop` drops those that transfers have left.
    """
    return FileIo(
        mode,
        durability,
        reserves=mode == "direct",
        writes_back_chunks=mode == "uncached" and has_device,
        keeps_pages=mode == "buffered",
        drops_later=mode == "uncached",
        syncs_on_the_way=False,
    )


def _is_of(file: ShareFile, entry: StoredEntry | None) -> bool:
    if entry is None or entry.size != file.stored_bytes:
        return False
    return len(entry.digests) in (0, file.chunking.count(file.stored_bytes))
