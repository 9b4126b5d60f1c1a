"""Transfers of many lanes over one queue: limits, errors of one of them, and of the queue."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.storage.io_thread import IoThread
from mlpstorage_bench.storage.io_threads import IoThreads
from mlpstorage_bench.storage.kernel_queue import Event
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.lane_waits import CutOffError
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Chunking, Store, StoredEntry
from mlpstorage_bench.storage.submission import Call
from mlpstorage_bench.storage.transfers import TransferQueue
from tests.fake_queue import FakeQueue
from tests.lanes import LONG_S, error_of

CHUNK = 64 * 1024
CHUNKS = 6
IN_FLIGHT = 4
LANES = 3


class SharedQueue(FakeQueue):
    """Queue of an IO thread, whose waits may end with an error instead."""

    def __init__(self) -> None:
        super().__init__(LANES * IN_FLIGHT)
        self._woken = threading.Event()
        self.in_flight_at_error = 0
        self.wait_fails: OSError | None = None
        self.on_wait: Callable[[], object] = int

    def reap(self, timeout_ns: int | None) -> list[Event]:
        if timeout_ns == 0:
            return super().reap(0)
        self.on_wait()
        if self.pending and self.wait_fails is not None:
            error, self.wait_fails = self.wait_fails, None
            self.in_flight_at_error = len(self.pending)
            raise error
        if self.pending:
            return super().reap(None)
        self._woken.wait(None if timeout_ns is None else timeout_ns / 1e9)
        self._woken.clear()
        return []

    def wake(self) -> None:
        self._woken.set()


class Readers:
    """Lanes of one IO thread, each of which reads its entry."""

    def __init__(self, store: Store, payload: Payload, observer: Any) -> None:
        self.queue = SharedQueue()
        self.stopping = threading.Event()
        self.thread = IoThread(lambda _: self.queue, LANES * IN_FLIGHT, helpers=LANES)
        self._lanes = [
            Lane(payload, Chunking(CHUNK), self.stopping, self.thread, chunks_in_flight=IN_FLIGHT)
            for _ in range(LANES)
        ]
        self._store, self._observer = store, observer
        self._entries = [self._write(number) for number in range(LANES)]
        self.queue.max_pending = 0

    def _write(self, number: int) -> StoredEntry:
        name, lane = f"entry{number}", self._lanes[number]
        return lane.write(self._store, name, CHUNKS * CHUNK, self._observer())

    def read(self) -> list[BaseException | None]:
        """Have every lane read its entry, all at once; return their errors."""
        results: list[Future[None]] = []

        def start() -> None:
            for lane, entry in zip(self._lanes, self._entries, strict=True):
                work = partial(lane.read, self._store, entry, self._observer())
                results.append(self.thread.start(work))

        assert error_of(self.thread.start(start)) is None
        return [error_of(result) for result in results]


@pytest.fixture
def readers(
    tmp_path: Path, store_of: Any, payload: Payload, observer_class: Any
) -> Iterator[Readers]:
    store: Store = store_of("slab, direct", tmp_path)
    made = Readers(store, payload, observer_class)
    yield made
    made.thread.close()
    store.close()


def test_all_lanes_have_their_chunks_in_flight_at_once(readers: Readers) -> None:
    assert readers.read() == [None] * LANES
    assert readers.queue.max_pending == LANES * IN_FLIGHT


def test_error_of_one_lane_s_chunk_is_no_other_lane_s(readers: Readers) -> None:
    readers.queue.submitted, readers.queue.fails_at, readers.queue.errno = 0, 2, errno.EIO
    errors = readers.read()
    assert sorted(type(error).__name__ for error in errors) == [
        *["NoneType"] * (LANES - 1),
        "StorageError",
    ]
    assert readers.read() == [None] * LANES


def test_error_of_the_queue_ends_all_its_transfers(readers: Readers) -> None:
    readers.queue.wait_fails = OSError(errno.EBADF, "Bad file descriptor")
    errors = readers.read()
    assert readers.queue.in_flight_at_error == LANES * IN_FLIGHT
    for error in errors:
        assert isinstance(error, StorageError)
        assert str(error).endswith(": Bad file descriptor (EBADF)")
    assert (readers.queue.pending, readers.queue.resets) == ({}, 1)
    assert readers.read() == [None] * LANES


def test_lanes_cut_off_while_they_wait_end_with_nothing_in_flight(readers: Readers) -> None:
    readers.queue.on_wait = readers.stopping.set
    assert {type(error) for error in readers.read()} == {CutOffError}
    assert (readers.queue.pending, readers.queue.resets) == ({}, 0)
    readers.stopping.clear()
    readers.queue.on_wait = int
    assert readers.read() == [None] * LANES


class CountedQueue(FakeQueue):
    """Queue whose looks find as many ends as the test says."""

    def __init__(self, *looks: int) -> None:
        super().__init__(len(looks))
        self._looks = iter(looks)
        self._slots: list[int] = []

    def prepare_call(self, _queue: object, slot: int) -> None:
        self._slots.append(slot)

    def reap(self, timeout_ns: int | None) -> list[Event]:
        del timeout_ns
        count = next(self._looks)
        ended, self._slots = self._slots[:count], self._slots[count:]
        return [(slot, 0) for slot in ended]


class IgnoringOwner:
    def ended(self, _: object) -> None: ...


@pytest.mark.parametrize(
    ("waits", "chunks"),
    [
        ({0: 1}, 3),  # all three are submitted
        ({1: 1}, 2),  # no end is found, but two by the next look
        ({2: 1}, 3),  # two ended, and the third may have right after them
        ({3: 1}, 0),  # the third, whose bound it is part of
        ({4: 1}, 2),  # one is submitted and may have ended as well
        ({1: 2, 2: 1}, 2 * 2 + 3),
    ],
)
def test_sampled_wait_delays_chunks_that_ended_unseen_or_are_submitted(
    waits: dict[int, int], chunks: int
) -> None:
    counted = CountedQueue(0, 0, 2, 1, 0, 1)
    queue = TransferQueue(lambda _: counted, 2, calls=4)
    assert queue.makes_calls

    def submit(count: int) -> None:
        for _ in range(count):
            queue.add_call(Call(IgnoringOwner(), counted.prepare_call))
        queue.submit()

    steps: tuple[Callable[[], object], ...] = (
        partial(submit, 3),  # a look finds none
        partial(queue._reap, 0),  # nor this one
        partial(queue._reap, None),  # two
        partial(queue._reap, 0),  # the third
        partial(submit, 1),
        queue.look,
    )
    for number, step in enumerate(steps):
        queue.waits_now += waits.get(number, 0)
        step()
    queue.close()
    assert queue.delayed == (sum(waits.values()), chunks)


@pytest.mark.parametrize(("slots", "at_once"), [(1, 1), (2, 0)])
def test_only_slot_is_submitted_at_once(slots: int, at_once: int) -> None:
    counted = CountedQueue(0, 1, 0, 1)
    submits = 0

    def submit() -> None:
        nonlocal submits
        submits += 1

    counted.submit = submit  # type: ignore[method-assign]
    queue = TransferQueue(lambda _: counted, slots, calls=1)
    assert queue.makes_calls
    queue.add_call(Call(IgnoringOwner(), counted.prepare_call))
    assert submits == at_once
    queue.wait(None)
    assert (submits, queue.in_flight) == (1, 0)
    queue.close()


def test_waits_of_helpers_delay_one_chunk_each() -> None:
    with IoThreads(2, None, lanes=2, chunks_in_flight=1) as threads:
        ids: list[int] = []
        for work in threads.start([lambda: ids.append(threading.get_native_id())] * 2):
            work.result(LONG_S)
        for native_id in (*ids, 0, 0):
            threads.note_wait(native_id)
        assert threads.delayed == (2, 2)  # of IO threads, no look has come yet
        assert [threads.of_lane(lane).transfers.waits_now for lane in range(2)] == [1, 1]
