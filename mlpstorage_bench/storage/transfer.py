"""One chunk on its way to or from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.storage.failures import (
    short_file_error,
    storage_error,
    zero_length_write_error,
)
from mlpstorage_bench.storage.mover import Mover
from mlpstorage_bench.storage.store import Chunk
from mlpstorage_bench.storage.submission import Submission, SubmissionOwner

if TYPE_CHECKING:  # it takes NumPy, which a session without a run does not need
    from mlpstorage_bench.storage.buffers import AlignedBuffer


class Transfer(Submission):
    """A chunk that is being moved to or from a file."""

    __slots__ = ("at", "buffer", "chunk", "error", "file", "is_write", "mover")

    def __init__(
        self,
        owner: SubmissionOwner,
        mover: Mover,
        buffer: AlignedBuffer,
        chunk: Chunk,
        *,
        is_write: bool,
    ) -> None:
        self.owner = owner
        self.mover = mover
        self.buffer = buffer
        self.chunk = chunk
        self.is_write = is_write
        self.file, self.at = mover.place(chunk.offset)
        self.done = 0
        """Bytes moved so far."""
        self.to_do = chunk.size + (is_write and mover.writes_back)
        """The chunk's size, and 1 more if it is written back when all bytes are moved."""
        self.started_ns = 0
        """Right before its first submission; 0 until then."""
        self.submitted_ns = 0
        """Right after it."""
        self.ended_ns = 0
        self.late_ns = 0
        """It may have ended up to this long before `ended_ns`."""
        self.error: StorageError | None = None

    @property
    def is_moved(self) -> bool:
        """Whether all bytes are moved, maybe with the write-back still to do."""
        return self.done >= self.chunk.size

    def fail(self, error: OSError) -> None:
        """Note the error with which it has ended."""
        if self.is_moved:
            self.error = storage_error("writing back", self.file.path, error, self.at)
        else:
            action = "writing" if self.is_write else "reading"
            self.error = storage_error(action, self.file.path, error, self.at + self.done)

    def made_no_progress(self) -> StorageError:
        """Return the error to raise if the system moved 0 bytes and reported no error."""
        missing = self.chunk.size - self.done
        error_of = zero_length_write_error if self.is_write else short_file_error
        return error_of(self.file.path, self.at + self.done, missing)
