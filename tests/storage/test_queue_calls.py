"""Opening and syncing files: by the queue of an IO thread, or else directly."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.storage.buffers import BufferPool
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.io_thread import IoThread
from mlpstorage_bench.storage.io_threads import IoThreads
from mlpstorage_bench.storage.io_uring import IoUring
from mlpstorage_bench.storage.kernel_queue import Event, QueueRefusedError
from mlpstorage_bench.storage.lane import Lane, buffers_for
from mlpstorage_bench.storage.linux_aio import LinuxAio
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.queue_calls import open_file, sync_file
from mlpstorage_bench.storage.store import Chunking
from tests.lanes import run_lanes
from tests.storage.conftest import LAYOUTS, file_io, kernel_queue

CHUNK = 64 * 1024
BLOCK = 160 * 1024
CHUNKING = Chunking(CHUNK, BLOCK)
SIZE = 8 * BLOCK
FLAGS = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC


class CountingRing(IoUring):
    """io_uring that counts the calls that it makes."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots)
        self.slots = slots
        self.opened: list[bytes] = []
        self.synced: list[bool] = []

    def prepare_open(self, slot: int, path: bytes, flags: int, mode: int) -> None:
        self.opened.append(path)
        super().prepare_open(slot, path, flags, mode)

    def prepare_sync(self, slot: int, descriptor: int, data_only: bool) -> None:  # noqa: FBT001 - as in the ring
        self.synced.append(data_only)
        super().prepare_sync(slot, descriptor, data_only)


@pytest.fixture
def ring() -> Iterator[CountingRing]:
    try:
        made = CountingRing(64)
    except QueueRefusedError as error:
        pytest.skip(str(error))
    yield made
    made.close()


@pytest.fixture
def direct_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Calls that were made without the queue, on any thread."""
    made: list[str] = []

    def noting(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def one(*arguments: Any, **named: Any) -> Any:
            made.append(name)
            return call(*arguments, **named)

        return one

    for name in ("open", "fsync", "fdatasync"):
        monkeypatch.setattr(os, name, noting(name, getattr(os, name)))
    return made


def in_lane(work: Callable[[], None], queue: Any) -> None:
    """Run a work as the lane of an IO thread over this queue."""
    run_lanes([work], IoThread(lambda _: queue, queue.slots, helpers=2))


@pytest.mark.parametrize("data_only", [True, False])
def test_queue_of_the_thread_opens_and_syncs_for_its_lanes(
    tmp_path: Path, ring: CountingRing, direct_calls: list[str], *, data_only: bool
) -> None:
    def work() -> None:
        descriptor = open_file(tmp_path / "file", FLAGS, 0o600)
        os.write(descriptor, b"content")
        span = sync_file(descriptor, data_only=data_only)
        assert 0 < span.started_ns <= span.ended_ns
        assert 0 <= span.late_ns <= span.ended_ns - span.started_ns
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)

    in_lane(work, ring)
    assert (tmp_path / "file").read_bytes() == b"content"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert (ring.opened, ring.synced) == ([os.fsencode(tmp_path / "file")], [data_only])
    assert direct_calls == []


def test_errors_are_those_of_direct_calls(tmp_path: Path, ring: CountingRing) -> None:
    def work() -> None:
        path = tmp_path / "file"
        FileIo("buffered").create(path, CHUNK).close()
        with pytest.raises(StorageError, match=r"creating \S+file failed: .*\(EEXIST\)"):
            FileIo("buffered").create(path, CHUNK)
        with pytest.raises(StorageError, match=r"opening \S+missing failed: .*\(ENOENT\)"):
            FileIo("buffered").open_uncached(tmp_path / "missing")
        file = FileIo("buffered", "fsync").open(path)
        reading, writing = os.pipe()
        os.dup2(writing, file.descriptor)  # a pipe cannot be synced
        with pytest.raises(StorageError, match=r"syncing \S+file failed: .*\(EINVAL\)"):
            file.make_durable(None)  # type: ignore[arg-type]  # nothing is observed
        file.close()
        os.close(reading)
        os.close(writing)

    in_lane(work, ring)
    assert len(ring.opened) == 4


def test_lane_whose_queue_fails_gets_the_error(tmp_path: Path, ring: CountingRing) -> None:
    def fail(timeout_ns: int | None) -> list[Event]:
        del timeout_ns
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def work() -> None:
        ring.reap = fail  # type: ignore[method-assign]  # the queue is broken
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            open_file(tmp_path / "file", FLAGS, 0o600)
        del ring.reap

    in_lane(work, ring)


def test_calls_outside_of_an_io_thread_are_direct(
    tmp_path: Path, ring: CountingRing, direct_calls: list[str]
) -> None:
    thread = IoThread(lambda _: ring, ring.slots)
    descriptor = open_file(tmp_path / "file", FLAGS, 0o600)
    sync_file(descriptor, data_only=True)
    sync_file(descriptor, data_only=False)
    os.close(descriptor)
    assert (ring.opened, ring.synced) == ([], [])
    assert direct_calls == ["open", "fdatasync", "fsync"]
    thread.close()


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("mode", ["direct", "buffered"])
@pytest.mark.parametrize("kind", ["io_uring", "linux_aio"])
def test_lanes_have_slots_for_calls_beside_their_chunks_in_flight(
    tmp_path: Path,
    observer_class: Any,
    direct_calls: list[str],
    layout: str,
    mode: Any,
    kind: str,
) -> None:
    if kind == "linux_aio":
        kernel_queue(1).close()
    rings: list[CountingRing] = []

    def open_queue(slots: int) -> Any:
        if kind == "linux_aio":
            return LinuxAio(slots)
        rings.append(CountingRing(slots))
        return rings[-1]

    lanes, limit = 2, 4
    store = LAYOUTS[layout](tmp_path, replace(file_io(tmp_path, mode), durability="fdatasync"))
    pool = BufferPool(CHUNK, buffers_for(lanes, limit))
    direct_calls.clear()
    observers = [(observer_class(), observer_class()) for _ in range(lanes)]
    with IoThreads(1, open_queue, lanes=lanes, chunks_in_flight=limit) as threads:

        def work(number: int) -> None:
            lane = Lane(
                *(Payload(5), CHUNKING, threading.Event(), threads.of_lane(number)),
                chunks_in_flight=limit,
                buffers=pool,
            )
            written, read = observers[number]
            lane.read(store, lane.write(store, f"{number}", SIZE, written), read)

        for result in threads.start([partial(work, number) for number in range(lanes)]):
            result.result(60)
    for written, read in observers:
        assert (written.moved, read.checked) == (SIZE, CHUNKING.count(SIZE))
        assert written.syncs == {"entry": 1, "block": SIZE // BLOCK, "slab": 1}[layout]
    made = list(direct_calls)
    store.close()
    if rings:
        (ring,) = rings
        assert ring.slots == lanes * (limit + 1)
        opened = {"entry": 2 * lanes, "block": 2 * lanes * SIZE // BLOCK, "slab": 0}[layout]
        assert len(ring.opened) == opened
        assert ring.synced == [True] * sum(written.syncs for written, _ in observers)
        assert made == []
    else:
        assert set(made) == {"fdatasync"} | ({"open"} if layout != "slab" else set())


def test_calls_take_no_slot_of_a_chunk(tmp_path: Path, ring: CountingRing) -> None:
    descriptor = os.open(tmp_path / "file", FLAGS)
    thread = IoThread(lambda _: ring, ring.slots - 2, helpers=2)
    most = 0

    def work() -> None:
        nonlocal most
        for _ in range(10):
            sync_file(descriptor, data_only=True)
            most = max(most, thread.transfers.in_flight)

    run_lanes([work] * 4, thread)
    os.close(descriptor)
    assert most <= 2
    assert len(ring.synced) >= 20
    assert not thread.transfers.in_flight
