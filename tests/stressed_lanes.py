"""Many lanes with random operations, and a queue that injects what goes wrong."""

from __future__ import annotations

import errno
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from greenlet import getcurrent

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.storage.buffers import BufferPool
from mlpstorage_bench.storage.io_thread import IoThread
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.lane_waits import CutOffError, WaitList
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Chunking, Store, StoredEntry
from mlpstorage_bench.storage.transfers import OpenQueue
from tests.injecting_queue import NOTHING, QUEUE_ERROR, InjectingQueue, Rates
from tests.lanes import run_lanes
from tests.storage.conftest import CountingObserver

LANES = 16
CHUNKS_IN_FLIGHT = 3
_STEPS = ("write", "write", "read", "read", "copy", "delete", "wait")
_STEPS_OF_LANE = 10
_MOST_CHUNKS = 8
_HELPERS = 4
"""Fewer than lanes, so that helpers make some calls although the queue makes calls."""
_RATES = Rates(
    *(0.02, 0.2, 0.2, 0.001), results=(-errno.EIO, -errno.ENOSPC, -errno.ESTALE, NOTHING)
)
_CUT_OFF = 0.02
"""Probability that some lane is cut off when ended slots are looked for."""
_CAUSES = {
    **{result: (f"({errno.errorcode[-result]})",) for result in _RATES.results if result},
    NOTHING: ("0 of ", "the file ends at "),
}
"""Texts of which an error has one, by the injected result."""


class StressedLanes:
    """Lanes on one IO thread that write, read, copy and delete entries of two stores."""

    def __init__(
        self,
        rng: random.Random,
        open_queue: OpenQueue,
        pool: BufferPool,
        payload: Payload,
        chunking: Chunking,
        stores: Sequence[Store],
        *,
        is_aligned: bool,
        counts_chunks: bool,
    ) -> None:
        """Make lanes; `counts_chunks`: the queue moves each chunk, which counts when it ends."""
        self.outcomes: Counter[str] = Counter()
        """Numbers of operations by the class of their errors."""
        self.queue: InjectingQueue | None = None
        self._rng = rng
        self._open_inner = open_queue
        self._chunking = chunking
        self._stores = stores
        self._is_aligned = is_aligned
        self._counts_chunks = counts_chunks
        memory = [pool.memory]
        self.thread = IoThread(
            *(self._open, LANES * CHUNKS_IN_FLIGHT), memory=memory, helpers=_HELPERS
        )
        self.lanes = [
            Lane(
                *(payload, chunking, threading.Event(), self.thread),
                chunks_in_flight=CHUNKS_IN_FLIGHT,
                buffers=pool,
            )
            for _ in range(LANES)
        ]
        self._numbers: dict[object, int] = {}
        """Number of the lane, by its greenlet."""
        self._entries: list[list[tuple[Store, StoredEntry]]] = [[] for _ in self.lanes]
        """Entries that each lane has, and their stores."""
        self._changed = WaitList()
        self._is_over = False
        self._looks_left = rng.choice((0, rng.randrange(20, 400)))
        """Looks for ended slots until all lanes are stopped; 0: they are not."""

    def _open(self, slots: int) -> InjectingQueue:
        assert self.queue is None, "a queue is opened once"
        self.queue = InjectingQueue(
            *(self._open_inner(slots), self._rng, _RATES),
            is_aligned=self._is_aligned,
            owner_of=self._owner_of,
            on_look=self._cut_off_some,
        )
        return self.queue

    def _owner_of(self, address: int | None) -> int:
        """Return the number of the lane that has the buffer, or of the one that runs."""
        if address is None:
            return self._numbers[getcurrent()]
        (owner,) = (
            number
            for number, lane in enumerate(self.lanes)
            for buffer in lane._in_flight._taken
            if buffer.address <= address < buffer.address + buffer.size
        )
        return owner

    def _cut_off_some(self) -> None:
        if self._rng.random() < _CUT_OFF:
            self._rng.choice(self.lanes).stopping.set()
        self._looks_left -= 1
        if self._looks_left == 0:
            self._is_over = True
            for lane in self.lanes:
                lane.stopping.set()
            self.thread.resume_all()

    def run(self) -> None:
        """Run all lanes until each has made its operations, or was stopped; end the thread."""
        works = [self.thread.start(partial(self._work, number)) for number in range(LANES)]
        self.thread.join()
        for work in works:
            work.result(0)

    def read_back(self) -> None:
        """With nothing injected, check and remove what was written; close the queue."""
        if self.queue is not None:
            self.queue.rates, self.queue.on_look = Rates(), int
        for lane in self.lanes:
            lane.stopping.clear()
        run_lanes([partial(self._read_own, number) for number in range(LANES)], self.thread)

    def _read_own(self, number: int) -> None:
        self._numbers[getcurrent()] = number
        for store, entry in self._entries[number]:
            self._read(number, store, entry, CountingObserver())
            store.delete(entry.name)

    def _work(self, number: int) -> None:
        self._numbers[getcurrent()] = number
        entries = self._entries[number]
        for step in range(_STEPS_OF_LANE):
            if self._is_over:
                return
            kind = self._rng.choice(_STEPS)
            observer = CountingObserver()
            if kind == "wait":
                self._changed.notify_all()
                self._changed.wait(time.perf_counter_ns() + self._rng.randrange(1_000_000))
            elif kind == "write" or not entries:
                self._check(number, observer, self._write, f"{number}-{step}")
            elif kind == "delete":
                store, entry = entries.pop(self._rng.randrange(len(entries)))
                store.delete(entry.name)
            else:
                store, entry = self._rng.choice(entries)
                (other,) = (one for one in self._stores if one is not store)
                if kind == "copy" and (other, entry) not in entries:
                    self._check(number, observer, self._copy, store, other, entry)
                else:
                    self._check(number, observer, self._read, store, entry)

    def _write(self, number: int, name: str, observer: CountingObserver) -> None:
        store = self._rng.choice(self._stores)
        size = self._rng.randrange(1, _MOST_CHUNKS * self._chunking.chunk_bytes)
        entry = self.lanes[number].write(store, name, size, observer)
        self._entries[number].append((store, entry))
        assert observer.moved == entry.size

    def _read(
        self, number: int, store: Store, entry: StoredEntry, observer: CountingObserver
    ) -> None:
        self.lanes[number].read(store, entry, observer)
        chunks = self._chunking.count(entry.size)
        assert (observer.moved, observer.checked) == (entry.size, chunks)

    def _copy(
        self,
        number: int,
        store: Store,
        other: Store,
        entry: StoredEntry,
        observer: CountingObserver,
    ) -> None:
        self.lanes[number].copy(store, other, entry, observer, observer)
        self._entries[number].append((other, entry))
        assert observer.moved == 2 * entry.size

    def _check(
        self,
        number: int,
        observer: CountingObserver,
        operate: Callable[..., None],
        *arguments: object,
    ) -> None:
        """Make an operation, and check that it ends as what was injected says."""
        lane = self.lanes[number]
        before = self._counts(number)
        failure: Exception | None = None
        try:
            operate(number, *arguments, observer)
        except (StorageError, CutOffError) as error:
            failure = error
        injected, queue_errors, moved = self._counts(number)
        assert lane.in_flight == 0
        if self._counts_chunks:
            assert observer.moved == moved - before[2]
        causes = [text for result in injected[len(before[0]) :] for text in _CAUSES[result]]
        if isinstance(failure, StorageError):
            causes += [QUEUE_ERROR] * (queue_errors > before[1])
            assert any(cause in str(failure) for cause in causes), (str(failure), causes)
        else:
            assert causes == []
            assert failure is None or lane.stopping.is_set()
        self.outcomes[type(failure).__name__] += 1
        if not self._is_over:
            lane.stopping.clear()

    def _counts(self, number: int) -> tuple[list[int], int, int]:
        """Return a lane's injected results, errors of the queue, and the bytes that it moved."""
        queue = self.queue
        if queue is None:
            return [], 0, 0
        results = [result for owner, result in queue.injected if owner == number]
        return results, queue.queue_errors, queue.moved.get(number, 0)
