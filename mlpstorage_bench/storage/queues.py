"""The queues that a host may provide, best first.

Both make system calls through the C library. No package is used: liburing 2026.3 dies on processors
without AVX-512, and liburing 2024.5.3 needs a compiler where it is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from mlpstorage_bench.storage.io_uring import IoUring
from mlpstorage_bench.storage.kernel_queue import (
    Queue,
    QueueChoice,
    QueueKind,
    QueueRefusedError,
)
from mlpstorage_bench.storage.linux_aio import LinuxAio

QUEUES: dict[QueueKind, Callable[[int], Queue]] = {"io_uring": IoUring, "linux_aio": LinuxAio}
"""Constructors by kind; each takes the number of slots, and raises QueueRefusedError."""


class OpenedQueue(NamedTuple):
    """A queue, and why it is no better one."""

    queue: Queue
    kind: QueueKind
    refusal: str
    """Why the host provides no queue of a better kind; '' if it was not asked for one."""


def open_queue(kind: QueueChoice, slots: int, *, uses_workers: bool = False) -> OpenedQueue:
    """Open a queue of this kind, or the best one that the host provides.

    With `uses_workers`, io_uring leaves every transfer to a worker. Raises QueueRefusedError with
    the reasons of all that were tried.
    """
    refusals: list[str] = []
    for tried in QUEUES if kind == "auto" else (kind,):
        make = QUEUES[tried]
        if uses_workers and tried == "io_uring":
            make = partial(IoUring, uses_workers=True)
        try:
            return OpenedQueue(make(slots), tried, "; ".join(refusals))
        except QueueRefusedError as error:
            refusals.append(str(error))
    raise QueueRefusedError("; ".join(refusals))


def moves_buffered(kind: QueueChoice = "auto") -> bool:
    """Whether the queue that the host provides moves files in the page cache concurrently."""
    try:
        queue = open_queue(kind, 1).queue
    except QueueRefusedError:
        return False
    queue.close()
    return queue.moves_buffered


class QueueOpener:
    """Opens queues of one kind, or the best ones, and knows what it got."""

    def __init__(self, choice: QueueChoice = "auto", *, uses_workers: bool = False) -> None:
        self._choice: QueueChoice = choice
        self._uses_workers = uses_workers
        self.kind: QueueKind | None = None
        """Kind of the last queue; None before the first one, and if the host provides none."""
        self.refusal = ""
        """Why it is of no better kind."""

    def __call__(self, slots: int) -> Queue:
        """Open a queue. Raises QueueRefusedError."""
        opened = open_queue(self._choice, slots, uses_workers=self._uses_workers)
        self.kind, self.refusal = opened.kind, opened.refusal
        return opened.queue
