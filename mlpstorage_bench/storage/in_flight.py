"""A lane's chunks in flight: submitted one by one, completed in any order.

Files are moved by the kernel queue of the lane's IO thread: while it moves chunks, the lane makes
the next chunk or checks the last one, or other lanes run. Everything else (memory, files if there
is no queue, and those in the page cache if the queue is Linux AIO) is moved by synchronous calls,
one at a time for each lane.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Self

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.storage.buffers import AlignedBuffer, BufferPool
from mlpstorage_bench.storage.file_mover import FileMover
from mlpstorage_bench.storage.io_thread import IoThread, RunningLane
from mlpstorage_bench.storage.lane_waits import off_thread
from mlpstorage_bench.storage.store import Chunk, ChunkReader, ChunkWriter
from mlpstorage_bench.storage.transfer import Transfer

_BUFFERED = (
    "files go through the page cache, and Linux AIO moves these one transfer after another, which "
    "io_uring would move concurrently"
)


class Read(NamedTuple):
    """A chunk that has been read into its buffer."""

    buffer: AlignedBuffer
    chunk: Chunk


class InFlight:
    """At most `limit` chunks in flight, and their buffers. Not thread-safe.

    Context manager around each operation: on exit nothing is in flight and all buffers are back in
    their pool, also after an error or an interrupt.
    """

    def __init__(self, thread: IoThread, limit: int, buffers: BufferPool) -> None:
        self._thread = thread
        self._transfers = thread.transfers
        self._limit = limit
        self._buffers = buffers
        self._moves_one_at_a_time = ""
        self._submitted = 0
        """Number of transfers in the queue."""
        self._ended: deque[Transfer] = deque()
        """Completed transfers to report."""
        self._failures: dict[int, StorageError] = {}
        """Errors by chunk number."""
        self._read: list[Read] = []
        self._taken: set[AlignedBuffer] = set()
        self._waiting: RunningLane | None = None
        """The lane, while it waits for one of its transfers."""

    @property
    def queue_unavailable_reason(self) -> str:
        """Reason why chunks move one at a time; '' with a queue, or if none is needed."""
        return self._moves_one_at_a_time or self._transfers.refusal

    @property
    def limit(self) -> int:
        """Largest number of chunks in flight: 1 without a queue."""
        return 1 if self.queue_unavailable_reason else self._limit

    @property
    def taken(self) -> int:
        """Number of chunks that are in flight or in work now; another thread may ask."""
        return len(self._taken)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._submitted or self._ended:
            self._wait_for_all()
        if self._taken:
            self._read.clear()
            for buffer in self._taken:
                self._buffers.put(buffer)
            self._taken.clear()
        if not self._failures:
            return
        failures, self._failures = self._failures, {}
        first = failures[min(failures)]
        if error is None or (isinstance(error, Exception) and error is not first):
            raise first
        if error is not first:
            error.add_note(str(first))

    def take_buffer(self) -> AlignedBuffer:
        """Return a buffer for the next chunk."""
        buffer = self._buffers.take()
        self._taken.add(buffer)
        return buffer

    def release(self, buffer: AlignedBuffer) -> None:
        """Return a buffer to the pool."""
        self._taken.remove(buffer)
        self._buffers.put(buffer)

    def write(self, writer: ChunkWriter, buffer: AlignedBuffer, chunk: Chunk) -> None:
        """Submit the write of a chunk as soon as a slot is free; completion releases its buffer.

        Raises the error of this chunk or of an earlier one.
        """
        if isinstance(writer, FileMover):
            if writer.is_queued is None:
                self._decide(writer)
            if writer.is_queued:
                self._start(writer, buffer, chunk, is_write=True)
                return
            off_thread(writer.put, buffer.bytes[: chunk.size], chunk.offset)
        else:
            writer.put(buffer.bytes[: chunk.size], chunk.offset)
        self.release(buffer)

    def read(self, reader: ChunkReader, buffer: AlignedBuffer, chunk: Chunk) -> None:
        """Submit the read of a chunk as soon as a slot is free; `completed_reads` yields it."""
        if isinstance(reader, FileMover):
            if reader.is_queued is None:
                self._decide(reader)
            if reader.is_queued:
                self._start(reader, buffer, chunk, is_write=False)
                return
            off_thread(reader.get, buffer.bytes[: chunk.size], chunk.offset)
        else:
            reader.get(buffer.bytes[: chunk.size], chunk.offset)
        self._read.append(Read(buffer, chunk))

    def completed_reads(self) -> Sequence[Read]:
        """Return the chunks read so far, in order of completion; the caller releases buffers."""
        reads, self._read = self._read, []
        return reads

    def next_reads(self) -> Sequence[Read]:
        """Wait for chunks in flight, reads or writes, and return those read; empty after the last.

        It may also be empty when only writes have completed: `is_idle` tells.
        """
        if self._submitted and not self._read:
            self._wait()
            self._report()
        return self.completed_reads()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in flight, and no read chunk is left."""
        return not (self._submitted or self._read)

    def finish(self) -> None:
        """Wait for all writes in flight."""
        while self._submitted:
            self._wait()
            self._report()

    def ended(self, transfer: Transfer) -> None:
        """Note that a transfer has ended, and let the lane run if it waits for it."""
        self._submitted -= 1
        self._ended.append(transfer)
        if self._waiting is not None:
            self._thread.resume_at(self._waiting, self._transfers.looked_ns)
            self._waiting = None

    def _decide(self, mover: FileMover) -> None:
        """Decide once for an operation whether the queue moves its chunks."""
        mover.is_queued = self._transfers.may_move(mover)
        if self._limit > 1 and self._transfers.has_queue:
            self._moves_one_at_a_time = "" if mover.is_queued else _BUFFERED

    def _start(
        self, mover: FileMover, buffer: AlignedBuffer, chunk: Chunk, *, is_write: bool
    ) -> None:
        transfer = Transfer(self, mover, buffer, chunk, is_write=is_write)
        while self._submitted >= self._limit:
            self._wait()
        self._submitted += 1
        self._transfers.add(transfer)
        if self._ended or self._failures:
            self._report()  # after the submission, so that the storage is busy meanwhile

    def _wait(self) -> None:
        """Wait until at least one transfer has ended."""
        if self._ended:
            return
        if self._thread.hub is None:
            while not self._ended:
                self._transfers.wait(None)
        else:
            self._waiting = self._thread.running
            self._thread.suspend()

    def _report(self) -> None:
        """Report completed transfers; after a failure drain, and raise the entry's first error."""
        self._report_ended()
        if self._failures:
            self._wait_for_all()
            raise self._failures[min(self._failures)]

    def _report_ended(self) -> None:
        while self._ended:
            transfer = self._ended.popleft()
            chunk = transfer.chunk
            if transfer.error is not None:
                self._failures[chunk.number] = transfer.error
                continue
            mover, started_ns, ended_ns = transfer.mover, transfer.started_ns, transfer.ended_ns
            try:
                if mover.counts_at_sync and transfer.is_write:
                    mover.cached(chunk.size, chunk.offset, started_ns, ended_ns, transfer.late_ns)
                else:
                    mover.moved(chunk.size, chunk.offset, started_ns, ended_ns, transfer.late_ns)
            except StorageError as error:
                self._failures[chunk.number] = error
            if transfer.is_write:
                self.release(transfer.buffer)
            else:
                self._read.append(Read(transfer.buffer, chunk))

    def _wait_for_all(self) -> None:
        """Wait until nothing is in flight."""
        if self._transfers.recover():  # interrupted during a call of the queue
            self._submitted = 0
        while self._submitted:
            self._wait()
            self._report_ended()
        self._report_ended()
