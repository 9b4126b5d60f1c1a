"""A lane's chunks that are with the storage: begun one by one, ended in any order.

Files opened for direct I/O are moved by a queue that the kernel has: while it moves chunks, the
lane makes the next or checks the last. Everything else (the page cache, memory, and files where
there is no queue) is moved by a call that returns when it is done, one at a time.

A chunk's span is from right before it was given to the kernel to when its end was seen. A lane that
waits sees it at once. One that was making or checking content meanwhile sees it afterwards: the
span is then too long by at most the time since the lane last looked, and that is told with it.
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
"""Makes a queue of so many slots, or raises QueueRefusedError."""
_BUFFERED = "files go through the page cache, and Linux moves these one transfer after another"


class Read(NamedTuple):
    """A chunk that has been read, in its buffer."""

    buffer: AlignedBuffer
    chunk: Chunk


class Transfer:
    """A chunk's way to or from a file."""

    __slots__ = ("at", "buffer", "chunk", "done", "file", "is_write", "mover", "started_ns")

    def __init__(
        self, mover: FileMover, buffer: AlignedBuffer, chunk: Chunk, *, is_write: bool
    ) -> None:
        self.mover, self.buffer, self.chunk, self.is_write = mover, buffer, chunk, is_write
        self.file: DataFile
        self.file, self.at = mover.place(chunk.offset)
        self.done = 0
        """Bytes of it that were moved."""
        self.started_ns = 0

    def failed(self, error: OSError) -> StorageError:
        """Return the error to raise for what the system said."""
        return storage_error(
            "writing" if self.is_write else "reading", self.file.path, error, self.at + self.done
        )

    def made_no_progress(self) -> StorageError:
        """Return the error to raise where the system moved nothing and gave no error."""
        missing = self.chunk.size - self.done
        told = zero_length_write_error if self.is_write else short_file_error
        return told(self.file.path, self.at + self.done, missing)


class InFlight:
    """At most `most` chunks with the storage, and their buffers. For one thread.

    A context manager around each operation: afterwards nothing is in flight and every buffer is
    given back, whatever happened.
    """

    def __init__(self, open_queue: OpenQueue | None, most: int, buffers: BufferPool) -> None:
        self._open_queue = open_queue
        self._most = most
        self._buffers = buffers
        self._queue: Queue | None = None
        self.refusal = ""
        """Why there is one chunk at a time, where more were asked for or the host has no queue."""
        self._free = list(range(most))
        """Slots of the queue."""
        self._submitted: dict[int, Transfer] = {}
        """By slot."""
        self._ended: deque[tuple[Transfer, int, int]] = deque()
        """Moved, but nobody was told so far: when, and how much earlier it may have been."""
        self._failures: dict[int, StorageError] = {}
        """By number of the chunk."""
        self._read: deque[Read] = deque()
        self._taken: set[AlignedBuffer] = set()
        self._looked_ns = 0
        self._is_certain = True
        """Whether we know what the kernel has: not amid a call, for an interrupt may come there."""

    @property
    def most(self) -> int:
        """How many may be with the storage at once: one, where there is to be no queue."""
        return 1 if self.refusal else self._most

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._come_to_rest()
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
        """Give the queue back, with nothing in it."""
        if self._queue is not None:
            if self._submitted or not self._is_certain:  # coming to rest was interrupted
                self._queue.forget()
            self._queue.close()
            self._queue = None

    def take_buffer(self) -> AlignedBuffer:
        """Return a buffer for a chunk that is to be written or read."""
        buffer = self._buffers.take()
        self._taken.add(buffer)
        return buffer

    def give_back(self, buffer: AlignedBuffer) -> None:
        """Let a buffer rest."""
        self._taken.remove(buffer)
        self._buffers.put(buffer)

    def write(self, writer: ChunkWriter, buffer: AlignedBuffer, chunk: Chunk) -> None:
        """Begin to write a chunk, when there is room; its buffer is given back when it has ended.

        Raises what went wrong with it, or with an earlier one.
        """
        if isinstance(writer, FileMover) and self._has_queue_for(writer):
            self._begin(writer, buffer, chunk, is_write=True)
        else:
            writer.put(buffer.bytes[: chunk.size], chunk.offset)
            self.give_back(buffer)

    def read(self, reader: ChunkReader, buffer: AlignedBuffer, chunk: Chunk) -> None:
        """Begin to read a chunk, when there is room; it arrives later."""
        if isinstance(reader, FileMover) and self._has_queue_for(reader):
            self._begin(reader, buffer, chunk, is_write=False)
        else:
            reader.get(buffer.bytes[: chunk.size], chunk.offset)
            self._read.append(Read(buffer, chunk))

    def arrived(self) -> Iterator[Read]:
        """Return what has been read, in the order of its arrival; its buffers are the caller's."""
        while self._read:
            yield self._read.popleft()

    def arriving(self) -> Iterator[Read]:
        """Return the rest of what is being read, and wait for it; what is written ends, too."""
        yield from self.arrived()
        while self._submitted:
            self._wait()
            self._tell()
            yield from self.arrived()

    def finish(self) -> None:
        """Wait until everything that is being written has been."""
        while self._submitted:
            self._wait()
            self._tell()

    def _has_queue_for(self, mover: FileMover) -> bool:
        if not mover.is_direct:
            if self._most > 1:
                self.refusal = _BUFFERED
            return False
        if self._queue is None and self._open_queue is not None:
            try:
                self._queue = self._open_queue(self._most)
            except QueueRefusedError as error:
                self.refusal, self._open_queue = str(error), None
        return self._queue is not None

    def _begin(
        self, mover: FileMover, buffer: AlignedBuffer, chunk: Chunk, *, is_write: bool
    ) -> None:
        transfer = Transfer(mover, buffer, chunk, is_write=is_write)
        while not self._free:
            self._wait()
        slot = self._free.pop()
        transfer.started_ns = time.perf_counter_ns()
        self._submit(slot, transfer)
        self._look(slot)  # some filesystems move it within the call: its end is seen here
        self._tell()  # after the new one is under way: the storage has something to do meanwhile

    def _submit(self, slot: int, transfer: Transfer) -> None:
        assert self._queue is not None
        self._is_certain = False
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
        self._is_certain = True

    def _look(self, just_begun: int | None = None) -> bool:
        """See what has ended meanwhile; the time since the last look is how late that may be."""
        return self._reap(waits=False, just_begun=just_begun)

    def _wait(self) -> None:
        """Wait until something ends, unless it has already."""
        if not self._look():
            self._reap(waits=True)

    def _reap(self, *, waits: bool, just_begun: int | None = None) -> bool:
        assert self._queue is not None
        self._is_certain = False
        events = self._queue.reap(waits=waits)
        now_ns = time.perf_counter_ns()
        late_ns = 0 if waits else now_ns - self._looked_ns
        for event in events:
            self._end(event, now_ns, 0 if event[0] == just_begun else late_ns)
        self._is_certain = True
        self._looked_ns = now_ns
        return bool(events)

    def _end(self, event: Event, now_ns: int, late_ns: int) -> None:
        """Take note of what the kernel says of a slot; what it left undone is asked for again."""
        slot, result = event
        transfer = self._submitted.pop(slot)
        if result > 0:
            transfer.done += result
            if transfer.done < transfer.chunk.size:
                self._submit(slot, transfer)
                self._is_certain = False  # there may be more events
                return
            self._ended.append((transfer, now_ns, min(late_ns, now_ns - transfer.started_ns)))
        elif result < 0:
            error = OSError(-result, os.strerror(-result))
            self._failures[transfer.chunk.number] = transfer.failed(error)
        else:
            self._failures[transfer.chunk.number] = transfer.made_no_progress()
        self._free.append(slot)

    def _tell(self) -> None:
        """Tell of what has ended; raise the first failure, in the entry's order, once all have."""
        self._note_ended()
        if self._failures:
            self._come_to_rest()
            raise self._failures[min(self._failures)]

    def _note_ended(self) -> None:
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
                self.give_back(transfer.buffer)
            else:
                self._read.append(Read(transfer.buffer, chunk))

    def _come_to_rest(self) -> None:
        """Wait until nothing is with the storage."""
        if self._queue is None:
            return
        if not self._is_certain:  # interrupted amid a call: the kernel alone knows what it has
            self._queue.forget()
            self._submitted.clear()
            self._is_certain = True
        while self._submitted:
            self._wait()
        self._free = list(range(self._most))  # also one that an interrupt came to hold
        self._note_ended()
