"""Files in the page cache whose chunks a queue moves: what counts, and when."""

from __future__ import annotations

import errno
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.storage import file_mover
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.io_thread import IoThread
from mlpstorage_bench.storage.io_uring import IoUring
from mlpstorage_bench.storage.kernel_queue import QueueRefusedError
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Chunking
from tests.fake_queue import FakeQueue
from tests.lanes import LoneLane, run_lanes

CHUNK = 64 * 1024
BLOCK = 160 * 1024
CHUNKING = Chunking(CHUNK, BLOCK)
SIZE = 8 * BLOCK
LIMIT = 4
COUNT = CHUNKING.count(SIZE)


def lane_over(queue: FakeQueue, payload: Payload) -> LoneLane:
    return LoneLane(
        *(payload, CHUNKING, threading.Event()),
        chunks_in_flight=LIMIT,
        open_queue=lambda _: queue,
    )


def test_chunk_counts_when_its_range_was_written_back(
    tmp_path: Path, store_of: Any, payload: Payload, observer_class: Any
) -> None:
    fake = FakeQueue(LIMIT)
    behind = []

    class Observer(observer_class):  # type: ignore[misc]  # a class that a fixture gives
        def chunk(self, *given: int) -> None:
            super().chunk(*given)
            behind.append(self.chunks - len(fake.written_back))

    store = store_of("entry, written back", tmp_path)
    lane_over(fake, payload).write(store, "entry", SIZE, Observer())
    assert max(behind) <= 0
    assert sorted(fake.written_back) == [
        (chunk.offset, chunk.size) for chunk in CHUNKING.chunks(SIZE)
    ]


def test_failed_write_back_fails_with_path_and_offset_of_the_chunk(
    tmp_path: Path, store_of: Any, payload: Payload, observer_class: Any
) -> None:
    fake = FakeQueue(LIMIT, write_back_errno=errno.EIO)
    store = store_of("entry, written back", tmp_path)
    with pytest.raises(
        StorageError, match=rf"writing back \S+\.kv failed: at offset (0|{CHUNK}): .*\(EIO\)"
    ):
        lane_over(fake, payload).write(store, "entry", SIZE, observer_class())
    assert fake.pending == {}
    assert list(tmp_path.iterdir()) == []


def test_cached_chunks_in_flight_count_at_syncs(
    tmp_path: Path, payload: Payload, observer_class: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_mover, "SYNC_BYTES", 4 * CHUNK)
    store = EntryFiles(tmp_path, FileIo("buffered"))
    fake = FakeQueue(LIMIT)
    moved = []

    class Observer(observer_class):  # type: ignore[misc]  # a class that a fixture gives
        def durable(
            self, started_ns: int, ended_ns: int, cached_bytes: int = 0, late_ns: int = 0
        ) -> None:
            super().durable(started_ns, ended_ns, cached_bytes, late_ns)
            moved.append(cached_bytes)

    observer = Observer()
    lane_over(fake, payload).write(store, "entry", SIZE, observer)
    assert (observer.chunks, sum(moved), fake.max_pending) == (COUNT, SIZE, LIMIT)
    assert len(moved) > SIZE // (8 * CHUNK)
    assert fake.written_back == []


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["buffered", "written back"])
def test_io_uring_moves_buffered_chunks_of_many_lanes_of_a_thread(
    tmp_path: Path, store_of: Any, observer_class: Any, mode: str
) -> None:
    try:
        IoUring(1).close()
    except QueueRefusedError as error:
        pytest.skip(str(error))
    store, lanes = store_of(f"block, {mode}", tmp_path), 3
    thread = IoThread(IoUring, LIMIT * lanes, helpers=lanes)
    observers = [(observer_class(), observer_class()) for _ in range(lanes)]

    def work(number: int) -> None:
        lane = Lane(Payload(5), CHUNKING, threading.Event(), thread, chunks_in_flight=LIMIT)
        written, read = observers[number]
        lane.read(store, lane.write(store, f"entry {number}", SIZE, written), read)
        assert (lane.max_in_flight, lane.queue_unavailable_reason) == (LIMIT, "")

    run_lanes([partial(work, number) for number in range(lanes)], thread)
    assert thread.transfers.moves
    for written, read in observers:
        assert (written.moved, written.chunks) == (SIZE, COUNT)
        assert (read.moved, read.checked) == (SIZE, COUNT)
    store.close()


def test_cached_chunks_count_at_one_sync_where_files_are_synced_when_complete(
    tmp_path: Path, payload: Payload, observer_class: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_mover, "SYNC_BYTES", 4 * CHUNK)
    store = EntryFiles(tmp_path, FileIo("buffered", syncs_on_the_way=False))
    moved = []

    class Observer(observer_class):  # type: ignore[misc]  # a class that a fixture gives
        def durable(
            self, started_ns: int, ended_ns: int, cached_bytes: int = 0, late_ns: int = 0
        ) -> None:
            super().durable(started_ns, ended_ns, cached_bytes, late_ns)
            moved.append(cached_bytes)

    lane_over(FakeQueue(LIMIT), payload).write(store, "entry", SIZE, Observer())
    assert moved == [SIZE]
