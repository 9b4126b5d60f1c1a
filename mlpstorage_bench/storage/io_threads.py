"""The IO threads of a rank, over which its lanes are spread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Self

from mlpstorage_bench.storage.io_thread import IoThread
from mlpstorage_bench.storage.transfers import Delayed, OpenQueue


class IoThreads:
    """IO threads whose lanes share objects. Context manager: ends and closes them on exit."""

    def __init__(
        self,
        count: int,
        open_queue: OpenQueue | None,
        *,
        lanes: int,
        chunks_in_flight: int,
        memory: Sequence[memoryview] = (),
    ) -> None:
        """Make `count` threads for `lanes` lanes with so many chunks in flight each.

        `memory` has the lanes' buffers.
        """
        turn = threading.Lock() if count > 1 else None
        of_each = -(-lanes // count)
        slots = of_each * chunks_in_flight
        self._threads = [
            IoThread(
                open_queue,
                slots,
                memory=memory,
                helpers=of_each,
                name=f"io-{number}",
                turn=turn,
            )
            for number in range(count)
        ]

        self._helpers_waits = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.join()
        for thread in self._threads:
            thread.close()

    def of_lane(self, number: int) -> IoThread:
        """Return the thread of a lane."""
        return self._threads[number % len(self._threads)]

    def start(self, works: Sequence[Callable[[], None]]) -> list[Future[None]]:
        """Run the work of each lane on its thread."""
        return [self.of_lane(number).start(work) for number, work in enumerate(works)]

    def resume_all(self) -> None:
        """Resume all lanes in wait lists, so that they see that they are to stop."""
        for thread in self._threads:
            thread.resume_all()

    def join(self) -> None:
        """Wait until all lanes' works have ended, and end the threads."""
        for thread in self._threads:
            thread.join()

    @property
    def threads(self) -> dict[int, int]:
        """The threads and their helpers so far: the kernel's id of each, and Python's."""
        return {
            native_id: python_id
            for thread in self._threads
            for native_id, python_id in list(thread.threads.items())
        }

    @property
    def lanes_ready_ns(self) -> int:
        """Time so far in which lanes were ready to run and other lanes had their threads."""
        return sum(thread.ready_wait_ns for thread in self._threads)

    def note_wait(self, native_id: int) -> None:
        """Note that a thread waits in a transfer's code now. The caller has Python's lock."""
        for thread in self._threads:
            if thread.native_id == native_id:
                thread.transfers.waits_now += 1
                return
        self._helpers_waits += 1

    @property
    def delayed(self) -> Delayed:
        """Noted waits so far, and the chunks that they delayed; a helper moves one at a time."""
        parts = [thread.transfers.delayed for thread in self._threads]
        samples, chunks = (sum(counts) for counts in zip(*parts, strict=True))
        return Delayed(samples + self._helpers_waits, chunks + self._helpers_waits)

    @property
    def movers(self) -> int | None:
        """Number of threads that moved chunks over a queue; None if none did."""
        return sum(thread.transfers.moves for thread in self._threads) or None
