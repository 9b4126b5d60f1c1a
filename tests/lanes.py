"""Lanes as tests use them: alone, on the calling thread; or many, on one IO thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Self

from mlpstorage_bench.storage.buffers import BufferPool
from mlpstorage_bench.storage.io_thread import IoThread
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.queues import QueueOpener
from mlpstorage_bench.storage.store import Chunking
from mlpstorage_bench.storage.transfers import OpenQueue

LONG_S = 60
"""Longest wait for what comes at once unless there is an error."""
Work = Callable[[], object]


class LoneLane(Lane):
    """A lane whose IO thread is not started: its caller waits for its transfers.

    Context manager: closes its queue on exit, unless the thread is a given one.
    """

    def __init__(
        self,
        payload: Payload,
        chunking: Chunking,
        stopping: threading.Event,
        *,
        chunks_in_flight: int = 1,
        open_queue: OpenQueue | None = QueueOpener(),  # noqa: B008 - it has no state that matters
        buffers: BufferPool | None = None,
        thread: IoThread | None = None,
        **options: Any,
    ) -> None:
        """Make an IO thread, with its memory mapped once as in a run, or use one as it is."""
        memory = () if buffers is None else (buffers.memory,)
        self._closes = thread is None
        self.thread = thread or IoThread(open_queue, chunks_in_flight, memory=memory)
        super().__init__(
            *(payload, chunking, stopping, self.thread),
            chunks_in_flight=chunks_in_flight,
            buffers=buffers,
            **options,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._closes:
            self.thread.close()


def run_lanes(works: Sequence[Work], thread: IoThread | None = None) -> None:
    """Run works as lanes of one IO thread, and raise the error of the first that failed."""
    thread = thread or IoThread(None, 1, helpers=len(works))
    results = [thread.start(work) for work in works]
    thread.close()
    for result in results:
        result.result(0)


def operations(thread: IoThread, count: int) -> Iterator[int]:
    """Yield the numbers of operations that a lane makes, with no wait between them."""
    for number in range(count):
        thread.begin_operation()
        yield number


def error_of(result: Future[None]) -> BaseException | None:
    """Return the error of a work that ends soon."""
    return result.exception(LONG_S)


class SteppingTime:
    """Module `time` whose clock advances at each look at it; keeps the moments of sleeps."""

    def __init__(self, step_ns: int, on_sleep: Callable[[], object] = int) -> None:
        self.slept_at: list[int] = []
        self._now_ns = 0
        self._step_ns = step_ns
        self._on_sleep = on_sleep

    def perf_counter_ns(self) -> int:
        self._now_ns += self._step_ns
        return self._now_ns

    def sleep(self, _: float) -> None:
        self.slept_at.append(self._now_ns)
        self._on_sleep()
