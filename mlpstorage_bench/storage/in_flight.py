"""A lane's chunks in flight: submitted one by one, completed in any order.

Files opened for direct I/O are moved by a kernel queue: while it moves chunks, the lane makes the
next chunk or checks the last one. Everything else (the page cache, memory, and files if there is
no queue) is moved by synchronous calls, one at a time.

A chunk's span lasts from right before its submission to when the lane sees its completion. A lane
that waits sees it at once. A lane that was making or checking content sees it late: the span is
then too long by at most the time since the lane last polled, and this bound is reported with it.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import NamedTuple, Self

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.storage.aio import Event, Queue, QueueRefusedError
from mlpstorage_bench.storage.buffers import AlignedBuffer, BufferPool
from mlpstorage_bench.storage.failures import (
    short_file_error,
    storage_error,
    zero_length_write_error,
)
from mlpstorage_bench.storage.file_mover import FileMover
from mlpstorage_bench.storage.files import DataFile
from mlpstorage_bench.storage.store import Chunk, ChunkReader, ChunkWriter

OpenQueue = Callable[[int], Queue]
"""Function from number of slots to queue; raises QueueRefusedError."""
_BUFFERED = "files go through the page cache, and Linux moves these one transfer after another"


class Read(NamedTuple):
    """A chunk that has been read into its buffer."""

    buffer: AlignedBuffer
    chunk: Chunk


class Transfer:
    """A chunk that is being moved to or from a file."""

    __slots__ = ("at", "buffer", "chunk", "done", "file", "is_write", "mover", "started_ns")

    def __init__(
        self, mover: FileMover, buffer: AlignedBuffer, chunk: Chunk, *, is_write: bool
    ) -> None:
        self.mover, self.buffer, self.chunk, self.is_write = mover, buffer, chunk, is_write
        self.file: DataFile
        self.file, self.at = mover.place(chunk.offset)
        self.done = 0
        """Bytes moved so far."""
        self.started_ns = 0

    def failed(self, error: OSError) -> StorageError:
        """Return the error to raise for an OSError of this transfer."""
        return storage_error(
            "writing" if self.is_write else "reading", self.file.path, error, self.at + self.done
        )

    def made_no_progress(self) -> StorageError:
        """Return the error to raise if the system moved 0 bytes and reported no error."""
        missing = self.chunk.size - self.done
        error_of = zero_length_write_error if self.is_write else short_file_error
        return error_of(self.file.path, self.at + self.done, missing)


class InFlight:
    """At most `limit` chunks in flight, and their buffers. Not thread-safe.

    Context manager around each operation: on exit nothing is in flight and all buffers are back in
    their pool, also after an error or an interrupt.
    """

    def __init__(self, open_queue: OpenQueue | None, limit: int, buffers: BufferPool) -> None:
        self._open_queue = open_queue
        self._limit = limit
        self._buffers = buffers
        self._queue: Queue | None = None
        self.queue_unavailable_reason = ""
        """Reason why chunks move one at a time; '' with a queue, or if none is needed."""
        self._free = list(range(limit))
        """Unused slots of the queue."""
        self._submitted: dict[int, Transfer] = {}
        """Transfers in the queue, by slot."""
        self._ended: deque[tuple[Transfer, int, int]] = deque()
        """Completed transfers to report: time seen, and by how much it may be late (ns)."""
        self._failures: dict[int, StorageError] = {}
        """Errors by chunk number."""
        self._read: deque[Read] = deque()
        self._taken: set[AlignedBuffer] = set()
        self._polled_ns = 0
        self._is_kernel_state_known = True
        """False during a call of the queue, as an interrupt may occur there."""

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
        self._wait_for_all()
        self._read.clear()
        for buffer in self._taken:
            self._buffers.put(buffer)
        self._taken.clear()
        failures, self._failures = self._failures, {}
        if not failures:
            return
        first = failures[min(failures)]
        if error is None or (isinstance(error, Exception) and error is not first):
            raise first
        if error is not first:
            error.add_note(str(first))

    def close(self) -> None:
        """Close the queue, with no transfer in it."""
        if self._queue is not None:
            if self._submitted or not self._is_kernel_state_known:  # draining was interrupted
                self._queue.reset()
            self._queue.close()
            self._queue = None

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
        if isinstance(writer, FileMover) and self._has_queue_for(writer):
            self._start(writer, buffer, chunk, is_write=True)
        else:
            writer.put(buffer.bytes[: chunk.size], chunk.offset)
            self.release(buffer)

    def read(self, reader: ChunkReader, buffer: AlignedBuffer, chunk: Chunk) -> None:
        """Submit the read of a chunk as soon as a slot is free; `completed_reads` yields it."""
        if isinstance(reader, FileMover) and self._has_queue_for(reader):
            self._start(reader, buffer, chunk, is_write=False)
        else:
            reader.get(buffer.bytes[: chunk.size], chunk.offset)
            self._read.append(Read(buffer, chunk))

    def completed_reads(self) -> Iterator[Read]:
        """Yield the chunks read so far, in order of completion; the caller releases the buffers."""
        while self._read:
            yield self._read.popleft()

    def drain(self) -> Iterator[Read]:
        """Wait for all chunks in flight, reads and writes, and yield the reads."""
        yield from self.completed_reads()
        while self._submitted:
            self._wait()
            self._report()
            yield from self.completed_reads()

    def finish(self) -> None:
        """Wait for all writes in flight."""
        while self._submitted:
            self._wait()
            self._report()

    def _has_queue_for(self, mover: FileMover) -> bool:
        if not mover.is_direct:
            if self._limit > 1:
                self.queue_unavailable_reason = _BUFFERED
            return False
        if self._queue is None and self._open_queue is not None:
            try:
                self._queue = self._open_queue(self._limit)
            except QueueRefusedError as error:
                self.queue_unavailable_reason, self._open_queue = str(error), None
        return self._queue is not None

    def _start(
        self, mover: FileMover, buffer: AlignedBuffer, chunk: Chunk, *, is_write: bool
    ) -> None:
        transfer = Transfer(mover, buffer, chunk, is_write=is_write)
        while not self._free:
            self._wait()
        slot = self._free.pop()
        transfer.started_ns = time.perf_counter_ns()
        self._submit(slot, transfer)
        self._poll(slot)  # some filesystems complete the transfer within the call
        self._report()  # after the submission, so that the storage is busy meanwhile

    def _submit(self, slot: int, transfer: Transfer) -> None:
        assert self._queue is not None
        self._is_kernel_state_known = False
        try:
            self._queue.submit(
                slot,
                is_write=transfer.is_write,
                descriptor=transfer.file.descriptor,
                address=transfer.buffer.address + transfer.done,
                size=transfer.chunk.size - transfer.done,
                offset=transfer.at + transfer.done,
            )
        except OSError as error:
            self._failures[transfer.chunk.number] = transfer.failed(error)
            self._free.append(slot)
        else:
            self._submitted[slot] = transfer
        self._is_kernel_state_known = True

    def _poll(self, just_submitted: int | None = None) -> bool:
        """Collect completed transfers; each may be late by the time since the last poll."""
        return self._reap(waits=False, just_submitted=just_submitted)

    def _wait(self) -> None:
        """Wait until at least one transfer has completed."""
        if not self._poll():
            self._reap(waits=True)

    def _reap(self, *, waits: bool, just_submitted: int | None = None) -> bool:
        assert self._queue is not None
        self._is_kernel_state_known = False
        events = self._queue.reap(waits=waits)
        now_ns = time.perf_counter_ns()
        late_ns = 0 if waits else now_ns - self._polled_ns
        for event in events:
            self._end(event, now_ns, 0 if event[0] == just_submitted else late_ns)
        self._is_kernel_state_known = True
        self._polled_ns = now_ns
        return bool(events)

    def _end(self, event: Event, now_ns: int, late_ns: int) -> None:
        """Handle the result of a slot; the rest of a short transfer is submitted again."""
        slot, result = event
        transfer = self._submitted.pop(slot)
        if result > 0:
            transfer.done += result
            if transfer.done < transfer.chunk.size:
                self._submit(slot, transfer)
                self._is_kernel_state_known = False  # more events may follow
                return
            self._ended.append((transfer, now_ns, min(late_ns, now_ns - transfer.started_ns)))
        elif result < 0:
            error = OSError(-result, os.strerror(-result))
            self._failures[transfer.chunk.number] = transfer.failed(error)
        else:
            self._failures[transfer.chunk.number] = transfer.made_no_progress()
        self._free.append(slot)

    def _report(self) -> None:
        """Report completed transfers; after a failure drain, and raise the entry's first error."""
        self._report_ended()
        if self._failures:
            self._wait_for_all()
            raise self._failures[min(self._failures)]

    def _report_ended(self) -> None:
        while self._ended:
            transfer, ended_ns, late_ns = self._ended.popleft()
            chunk = transfer.chunk
            try:
                transfer.mover.moved(
                    *(chunk.size, chunk.offset, transfer.started_ns, ended_ns, late_ns)
                )
            except StorageError as error:
                self._failures[chunk.number] = error
            if transfer.is_write:
                self.release(transfer.buffer)
            else:
                self._read.append(Read(transfer.buffer, chunk))

    def _wait_for_all(self) -> None:
        """Wait until nothing is in flight."""
        if self._queue is None:
            return
        if not self._is_kernel_state_known:  # interrupted during a call of the queue
            self._queue.reset()
            self._submitted.clear()
            self._is_kernel_state_known = True
        while self._submitted:
            self._wait()
        self._free = list(range(self._limit))  # an interrupt may have lost one
        self._report_ended()

    TRANSFERS = (_start, _submit, _reap, _end)
    """Functions between the two times of a chunk's span."""
