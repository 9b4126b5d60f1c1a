"""Interface of kernel queues: one thread submits transfers and calls, and collects the results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeGuard

from mlpstorage_bench.errors import MlpsError

QueueKind = Literal["io_uring", "linux_aio"]
QueueChoice = Literal["auto", "io_uring", "linux_aio"]
"""A kind of queue, or the best that the host provides."""
Event = tuple[int, int]
"""Result of a slot: its number, and the bytes moved, or what the call returned, or a negative
errno."""


class Prepare(Protocol):
    """A queue's function that puts a transfer into a slot."""

    def __call__(
        self, slot: int, is_write: bool, descriptor: int, address: int, size: int, offset: int, /
    ) -> None:
        """Put a transfer of `size` bytes between memory and a file into a slot."""


class Queue(Protocol):
    """Transfers submitted to the kernel, each in its own slot.

    One thread uses it, apart from `wake`.
    """

    moves_buffered: bool
    """Whether files opened without O_DIRECT move concurrently too: it is a `FileQueue`."""

    def register_memory(self, areas: Sequence[memoryview]) -> bool:
        """Have the kernel map memory of transfers once; False if it maps it for each transfer."""
        ...

    def prepare(
        self, slot: int, is_write: bool, descriptor: int, address: int, size: int, offset: int
    ) -> None:
        """Put a transfer of `size` bytes between memory and a file into a slot.

        `address` is in memory, `offset` is in the file. `submit` gives it to the kernel.
        """
        ...

    def submit(self) -> None:
        """Give all prepared slots to the kernel in one call.

        A slot that the kernel rejects ends with the error: `reap` returns it.
        """
        ...

    def reap(self, timeout_ns: int | None) -> list[Event]:
        """Return the ended slots; if there are none, wait for one up to `timeout_ns`.

        0 does not wait, and makes no system call where the queue can tell without; None waits until
        a slot ends or `wake` is called. After `wake`, the list may be empty.
        """
        ...

    def wake(self) -> None:
        """Make a `reap` that waits return, now or when it begins; any thread may call it."""
        ...

    def reset(self) -> None:
        """Wait until every slot has ended, and discard the results."""
        ...

    def close(self) -> None:
        """Reset the queue, and release it."""
        ...


class FileQueue(Queue, Protocol):
    """A queue that also moves files in the page cache, and opens and syncs files."""

    def prepare_uncached(
        self, slot: int, is_write: bool, descriptor: int, address: int, size: int, offset: int
    ) -> None:
        """Like `prepare`, through the page cache but leaving nothing in it."""
        ...

    def prepare_sync(self, slot: int, descriptor: int, data_only: bool) -> None:
        """Put an fsync, or with `data_only` an fdatasync, of a file into a slot."""
        ...

    def prepare_open(self, slot: int, path: bytes, flags: int, mode: int) -> None:
        """Put the opening of a file into a slot; its result is the descriptor."""
        ...

    def prepare_write_back(self, slot: int, descriptor: int, size: int, offset: int) -> None:
        """Put the write-back of a range's pages into a slot; it ends when the device has them."""
        ...


def is_file_queue(queue: Queue | None) -> TypeGuard[FileQueue]:
    """Whether there is a queue, and it moves files in the page cache."""
    return queue is not None and queue.moves_buffered


class QueueRefusedError(MlpsError):
    """The host does not provide this queue, and the message says why."""
