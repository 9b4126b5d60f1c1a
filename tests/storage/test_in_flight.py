"""Several chunks of an entry in flight: limit, order of completion, and failures."""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.paths import digest_name
from mlpstorage_bench.storage.buffers import BufferPool
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.kernel_queue import Event, QueueRefusedError
from mlpstorage_bench.storage.lane import buffers_for
from mlpstorage_bench.storage.lane_waits import CutOffError
from mlpstorage_bench.storage.linux_aio import LinuxAio
from mlpstorage_bench.storage.memory import MemoryStore
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Chunking, Store
from tests.fake_queue import FakeQueue
from tests.lanes import LoneLane
from tests.storage.conftest import kernel_queue

CHUNK = 64 * 1024
BLOCK = 160 * 1024
CHUNKING = Chunking(CHUNK, BLOCK)
SIZE = 8 * BLOCK
LIMIT = 4
COUNT = CHUNKING.count(SIZE)

MakeLane = Callable[..., LoneLane]


LAYOUTS = ("entry", "block", "slab")


@pytest.fixture(
    params=[f"{layout}, {mode}" for layout in LAYOUTS for mode in ("direct", "buffered")]
    + [f"{layout}, written back" for layout in LAYOUTS]
)
def file_store(request: pytest.FixtureRequest, tmp_path: Path, store_of: Any) -> Iterator[Store]:
    made: Store = store_of(request.param, tmp_path)
    yield made
    made.close()


@pytest.fixture(params=[f"{layout}, direct" for layout in LAYOUTS])
def direct_store(request: pytest.FixtureRequest, tmp_path: Path, store_of: Any) -> Iterator[Store]:
    made: Store = store_of(request.param, tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def pool_of_all_tests() -> BufferPool:
    return BufferPool(CHUNK, buffers_for(1, LIMIT))


@pytest.fixture
def pool(pool_of_all_tests: BufferPool) -> Iterator[BufferPool]:
    """Buffer pool; checks at the end that all buffers have been returned."""
    buffers = pool_of_all_tests._idle
    before = set(buffers)
    yield pool_of_all_tests
    assert len(buffers) == len(before)
    assert set(buffers) == before


@pytest.fixture
def lane_with(payload: Payload, pool: BufferPool) -> MakeLane:
    def make(queue: Any, **options: Any) -> LoneLane:
        return LoneLane(
            payload,
            CHUNKING,
            threading.Event(),
            chunks_in_flight=LIMIT,
            buffers=pool,
            open_queue=lambda depth: queue(depth) if callable(queue) else queue,
            **options,
        )

    return make


class CountingQueue(LinuxAio):
    """Kernel queue that counts its transfers."""

    pending = 0
    max_pending = 0

    def prepare(self, *transfer: Any) -> None:
        type(self).pending += 1
        type(self).max_pending = max(self.max_pending, self.pending)
        super().prepare(*transfer)

    def reap(self, timeout_ns: int | None) -> list[Event]:
        events = super().reap(timeout_ns)
        type(self).pending -= len(events)
        return events


def test_lane_keeps_the_configured_number_in_flight(
    file_store: Store, lane_with: MakeLane, observer_class: Any
) -> None:
    fake = FakeQueue(LIMIT)
    lane = lane_with(fake)
    entry = lane.write(file_store, "entry", SIZE, observer_class())
    assert fake.max_pending == LIMIT
    fake.max_pending = 0
    lane.read(file_store, entry, observer_class())
    assert fake.max_pending == LIMIT


@pytest.mark.slow
def test_kernel_queue_never_exceeds_the_limit(
    direct_store: Store, lane_with: MakeLane, observer_class: Any
) -> None:
    class Queue(CountingQueue): ...

    kernel_queue(1).close()
    with lane_with(Queue) as lane:
        entry = lane.write(direct_store, "entry", SIZE, observer_class())
        lane.read(direct_store, entry, observer_class())
    assert 0 < Queue.max_pending <= LIMIT
    assert Queue.pending == 0


@pytest.mark.slow
@given(seed=st.integers(0, 2**32), max_sectors=st.none() | st.integers(1, 20), eager=st.booleans())
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_chunks_completed_in_any_order_and_parts_are_complete(
    file_store: Store,
    pool: BufferPool,
    observer_class: Any,
    *,
    seed: int,
    max_sectors: int | None,
    eager: bool,
) -> None:
    max_size = None if max_sectors is None else max_sectors * 4096
    fake = FakeQueue(LIMIT, random.Random(seed), max_size, is_eager=eager)
    lane = LoneLane(
        *(Payload(5), CHUNKING, threading.Event()),
        chunks_in_flight=LIMIT,
        buffers=pool,
        open_queue=lambda _: fake,
    )
    written, observer = observer_class(), observer_class()
    entry = lane.write(file_store, "entry", SIZE, written)
    lane.read(file_store, entry, observer)
    assert (written.moved, written.chunks) == (SIZE, COUNT)
    assert (observer.moved, observer.chunks, observer.checked) == (SIZE, COUNT, COUNT)
    file_store.delete("entry")


def test_fake_queue_completes_out_of_order(
    tmp_path: Path, store_of: Any, lane_with: MakeLane, observer_class: Any
) -> None:
    fake = FakeQueue(LIMIT)
    lane = lane_with(fake)
    lane.write(store_of("entry, direct", tmp_path), "entry", SIZE, observer_class())
    assert len(fake.completed) == COUNT
    assert fake.completed != sorted(fake.completed)


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.ESTALE])
@pytest.mark.parametrize("refuses", [False, True], ids=["on completion", "on submission"])
def test_failed_chunk_fails_with_path_and_offset(
    tmp_path: Path,
    file_store: Store,
    lane_with: MakeLane,
    observer_class: Any,
    *,
    number: int,
    refuses: bool,
) -> None:
    fake = FakeQueue(LIMIT, fails_at=5, errno=number, refuses=refuses)
    lane = lane_with(fake)
    message = rf"writing \S+\.kv(\.tmp)? failed: at offset \d+: .*\({errno.errorcode[number]}\)"
    with pytest.raises(StorageError, match=message):
        lane.write(file_store, "entry", SIZE, observer_class())
    assert fake.pending == {}
    left = [path for path in tmp_path.rglob("*.kv*") if not path.name.startswith("slab")]
    assert left == []
    entry = lane.write(file_store, "entry", SIZE, observer_class())  # the lane is still usable
    fake.submitted, fake.fails_at = 0, 5
    with pytest.raises(StorageError, match=message.replace("writing", "reading")):
        lane.read(file_store, entry, observer_class())
    assert fake.pending == {}
    lane.read(file_store, entry, observer_class())


def test_zero_length_write_fails(
    file_store: Store, lane_with: MakeLane, observer_class: Any
) -> None:
    lane = lane_with(FakeQueue(LIMIT, fails_at=3))
    with pytest.raises(StorageError, match=r"at offset \d+ the system wrote 0 of 65536 bytes"):
        lane.write(file_store, "entry", SIZE, observer_class())


def test_several_failures_raise_the_first_of_the_entry(
    tmp_path: Path, store_of: Any, lane_with: MakeLane, observer_class: Any
) -> None:
    store = store_of("entry, direct", tmp_path)
    lane = lane_with(FakeQueue)
    entry = lane.write(store, "entry", SIZE, observer_class())
    os.truncate(tmp_path / f"{digest_name('entry')}.kv", 0)
    with pytest.raises(StorageError, match="the file ends at offset 0; 65536 more"):
        lane.read(store, entry, observer_class())


def test_chunks_in_flight_at_cut_off_complete_and_count(
    file_store: Store, lane_with: MakeLane, observer_class: Any
) -> None:
    fake = FakeQueue(LIMIT)
    lane = lane_with(fake)
    entry = lane.write(file_store, "entry", SIZE, observer_class())

    class StoppingObserver(observer_class):  # type: ignore[misc]  # a class that a fixture gives
        def chunk(self, *given: int) -> None:
            super().chunk(*given)
            lane.stopping.set()

    observer = StoppingObserver()
    fake.submitted = 0
    with pytest.raises(CutOffError):
        lane.read(file_store, entry, observer)
    assert fake.pending == {}
    assert observer.chunks == fake.submitted < COUNT


@pytest.mark.slow
@pytest.mark.parametrize("place", ["before submit", "after submit", "after reap"])
@pytest.mark.parametrize("at", [0, 2, 5])
def test_interrupt_leaves_nothing_in_flight(
    tmp_path: Path,
    file_store: Store,
    lane_with: MakeLane,
    observer_class: Any,
    place: str,
    at: int,
) -> None:
    fake = FakeQueue(LIMIT, interrupts_at=(place, at))
    lane = lane_with(fake)
    with pytest.raises(KeyboardInterrupt):
        lane.write(file_store, "entry", SIZE, observer_class())
    assert (fake.pending, fake.resets) == ({}, 1)
    left = [path for path in tmp_path.rglob("*.kv*") if not path.name.startswith("slab")]
    assert left == []
    lane.read(file_store, lane.write(file_store, "again", SIZE, observer_class()), observer_class())


class LateObserver:
    """Records by how much completions were seen late."""

    def __init__(self) -> None:
        self.late_ns: list[int] = []

    def chunk(self, _: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
        assert 0 <= late_ns <= ended_ns - started_ns
        self.late_ns.append(late_ns)

    def cached(self, *_: int) -> None: ...
    def durable(self, *_: int) -> None: ...
    def verified(self, *_: int) -> None: ...


class CompletesAtPoll(FakeQueue):
    """Completes transfers at the poll of number `depth` after their submission."""

    polls = 0

    def submit(self) -> None:
        super().submit()
        self.polls = 0

    def reap(self, timeout_ns: int | None) -> list[Event]:
        self.polls += 1
        self.is_eager = self.polls == self.depth
        return super().reap(timeout_ns)


@pytest.mark.parametrize(
    ("poll", "is_late"),
    [(1, False), (2, True), (3, False)],
    ids=["within the call", "while content was made", "while the lane waited"],
)
def test_only_completions_during_other_work_are_late(
    tmp_path: Path, store_of: Any, *, poll: int, is_late: bool
) -> None:
    store = store_of("entry, direct", tmp_path)
    observer = LateObserver()
    with LoneLane(
        *(Payload(5), CHUNKING, threading.Event()), open_queue=lambda _: CompletesAtPoll(poll)
    ) as lane:
        lane.write(store, "entry", SIZE, observer)
    assert len(observer.late_ns) == COUNT
    assert {late > 0 for late in observer.late_ns} == {is_late}


def test_host_without_queues_moves_one_chunk_at_a_time_with_reason(
    file_store: Store, lane_with: MakeLane, observer_class: Any
) -> None:
    def refuse(depth: int) -> LinuxAio:
        raise QueueRefusedError(f"no {depth} slots")

    lane = lane_with(refuse)
    assert (lane.max_in_flight, lane.queue_unavailable_reason) == (LIMIT, "")
    observer = observer_class()
    lane.read(file_store, lane.write(file_store, "entry", SIZE, observer_class()), observer)
    assert observer.checked == COUNT
    assert (lane.max_in_flight, lane.queue_unavailable_reason) == (
        1,
        "no 5 slots",
    )  # one is for a call


@pytest.mark.slow
def test_linux_aio_moves_one_buffered_chunk_at_a_time_with_reason(
    tmp_path: Path, observer_class: Any
) -> None:
    kernel_queue(1).close()
    store = EntryFiles(tmp_path, FileIo("buffered"))
    for asked_for, said in ((1, ""), (2, "which io_uring would move concurrently")):
        with LoneLane(
            *(Payload(5), CHUNKING, threading.Event()),
            chunks_in_flight=asked_for,
            open_queue=LinuxAio,
        ) as lane:
            lane.write(store, f"entry{asked_for}", SIZE, observer_class())
            assert said in lane.queue_unavailable_reason
            assert lane.max_in_flight == 1
            assert not lane.thread.transfers.moves
            assert bool(lane.queue_unavailable_reason) == bool(said)


def test_buffer_is_reused_only_after_16_mib_of_others() -> None:
    pool = BufferPool(1 << 20, 1)
    last = pool.take()
    pool.put(last)
    others = [pool.take() for _ in range(16)]  # the idle ones, beside the one in use
    assert last not in others
    assert pool.take() is last


def test_each_lane_makes_or_checks_a_chunk_beside_those_in_flight() -> None:
    assert buffers_for(lanes=1, chunks_in_flight=1) == 2
    assert buffers_for(lanes=16, chunks_in_flight=2) == 48


def test_lane_without_queue_uses_plain_calls(
    file_store: Store, observer_class: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    pwritev = os.pwritev

    def counted(descriptor: int, buffers: Any, offset: int, flags: int) -> int:
        calls.append(offset)
        return pwritev(descriptor, buffers, offset, flags)

    monkeypatch.setattr(os, "pwritev", counted)
    with LoneLane(Payload(5), CHUNKING, threading.Event(), open_queue=None) as lane:
        lane.write(file_store, "entry", CHUNK, observer_class())
        assert (len(calls), lane.max_in_flight, lane.queue_unavailable_reason) == (1, 1, "")


def test_memory_store_opens_no_queue(observer_class: Any) -> None:
    def fail(_: int) -> LinuxAio:
        raise AssertionError("a queue was opened")

    with LoneLane(
        *(Payload(5), CHUNKING, threading.Event()), chunks_in_flight=LIMIT, open_queue=fail
    ) as lane:
        lane.write(MemoryStore(CHUNK), "entry", SIZE, observer_class())
        assert lane.queue_unavailable_reason == ""


def test_copy_between_files_keeps_the_limit(
    tmp_path: Path, store_of: Any, lane_with: MakeLane, observer_class: Any
) -> None:
    (tmp_path / "other").mkdir()
    source = store_of("entry, direct", tmp_path)
    target = store_of("block, direct", tmp_path / "other")
    fake = FakeQueue(LIMIT)
    lane = lane_with(fake)
    entry = lane.write(source, "entry", SIZE, observer_class())
    read, written, observer = observer_class(), observer_class(), observer_class()
    lane.copy(source, target, entry, read, written)
    lane.read(target, entry, observer)
    assert (read.chunks, written.chunks, observer.checked) == (COUNT, COUNT, COUNT)
    assert fake.max_pending == LIMIT
    target.close()


def test_reserved_file_has_its_final_size_from_the_start(
    tmp_path: Path, observer_class: Any
) -> None:
    store = EntryFiles(tmp_path, FileIo("buffered", reserves=True))
    with LoneLane(Payload(5), CHUNKING, threading.Event()) as lane:
        sizes = []

        class SizeObserver(observer_class):  # type: ignore[misc]  # a class that a fixture gives
            def chunk(self, *given: int) -> None:
                super().chunk(*given)
                sizes.append((tmp_path / f"{digest_name('entry')}.kv").stat().st_size)

        entry = lane.write(store, "entry", SIZE, SizeObserver())
        lane.read(store, entry, observer_class())
    assert set(sizes) == {SIZE}
