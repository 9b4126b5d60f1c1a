"""Several chunks of an entry in flight: how many, in which order, and what can go wrong."""

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
from mlpstorage_bench.storage.aio import Event, KernelQueue, QueueRefusedError
from mlpstorage_bench.storage.buffers import BufferPool
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.lane import CutOffError, Lane, buffers_for, queues_for
from mlpstorage_bench.storage.memory import MemoryStore
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Chunking, Store
from tests.fake_queue import FakeQueue
from tests.storage.conftest import kernel_queue

CHUNK = 64 * 1024
BLOCK = 160 * 1024
CHUNKING = Chunking(CHUNK, BLOCK)
SIZE = 8 * BLOCK
MOST = 4
COUNT = CHUNKING.count(SIZE)

MakeLane = Callable[..., Lane]


@pytest.fixture(params=["entry, direct", "block, direct", "slab, direct"])
def direct_store(request: pytest.FixtureRequest, tmp_path: Path, store_of: Any) -> Iterator[Store]:
    made: Store = store_of(request.param, tmp_path)
    yield made
    made.close()


@pytest.fixture
def pool() -> Iterator[BufferPool]:
    """Buffers that have all been given back when a test is over."""
    made = BufferPool(CHUNK, buffers_for(1, MOST, CHUNK))
    before = len(made._resting)
    yield made
    assert len(made._resting) == before
    assert len(set(made._resting)) == before


@pytest.fixture
def lane_with(pool: BufferPool) -> MakeLane:
    def make(queue: Any, **options: Any) -> Lane:
        return Lane(
            Payload(5),
            CHUNKING,
            threading.Event(),
            chunks_in_flight=MOST,
            buffers=pool,
            open_queue=lambda depth: queue(depth) if callable(queue) else queue,
            **options,
        )

    return make


class CountingQueue(KernelQueue):
    """The kernel's, which tells how much of it was in use."""

    pending = 0
    most_pending = 0

    def submit(self, slot: int, **asked: Any) -> None:
        type(self).pending += 1
        type(self).most_pending = max(self.most_pending, self.pending)
        super().submit(slot, **asked)

    def reap(self, *, waits: bool) -> list[Event]:
        events = super().reap(waits=waits)
        type(self).pending -= len(events)
        return events


def test_as_many_as_asked_for_are_in_flight(
    direct_store: Store, lane_with: MakeLane, seen: Any
) -> None:
    fake = FakeQueue(MOST)
    lane = lane_with(fake)
    entry = lane.write(direct_store, "entry", SIZE, seen())
    assert fake.most_pending == MOST
    fake.most_pending = 0
    lane.read(direct_store, entry, seen())
    assert fake.most_pending == MOST


def test_the_kernel_never_has_more_than_asked_for(
    direct_store: Store, lane_with: MakeLane, seen: Any
) -> None:
    class Queue(CountingQueue): ...

    kernel_queue(1).close()
    with lane_with(Queue) as lane:
        entry = lane.write(direct_store, "entry", SIZE, seen())
        lane.read(direct_store, entry, seen())
    assert 0 < Queue.most_pending <= MOST
    assert Queue.pending == 0


@given(seed=st.integers(0, 2**32), most_bytes=st.none() | st.integers(1, 20), eager=st.booleans())
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_chunks_may_end_in_any_order_and_in_parts(
    direct_store: Store,
    pool: BufferPool,
    seen: Any,
    *,
    seed: int,
    most_bytes: int | None,
    eager: bool,
) -> None:
    most = None if most_bytes is None else most_bytes * 4096
    fake = FakeQueue(MOST, random.Random(seed), most, is_eager=eager)
    lane = Lane(
        *(Payload(5), CHUNKING, threading.Event()),
        chunks_in_flight=MOST,
        buffers=pool,
        open_queue=lambda _: fake,
    )
    written, noted = seen(), seen()
    entry = lane.write(direct_store, "entry", SIZE, written)
    lane.read(direct_store, entry, noted)
    assert (written.moved, written.chunks) == (SIZE, COUNT)
    assert (noted.moved, noted.chunks, noted.checked) == (SIZE, COUNT, COUNT)
    direct_store.delete("entry")


def test_the_order_of_ends_is_not_that_of_beginnings(
    tmp_path: Path, store_of: Any, lane_with: MakeLane, seen: Any
) -> None:
    fake = FakeQueue(MOST)
    lane = lane_with(fake)
    lane.write(store_of("entry, direct", tmp_path), "entry", SIZE, seen())
    assert len(fake.ended) == COUNT
    assert fake.ended != sorted(fake.ended)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.ESTALE])
@pytest.mark.parametrize("refuses", [False, True], ids=["at its end", "when begun"])
def test_every_error_of_a_chunk_is_told_with_file_and_offset(
    tmp_path: Path,
    direct_store: Store,
    lane_with: MakeLane,
    seen: Any,
    *,
    number: int,
    refuses: bool,
) -> None:
    fake = FakeQueue(MOST, fails_at=5, errno=number, refuses=refuses)
    lane = lane_with(fake)
    told = rf"writing \S+\.kv(\.tmp)? failed: at offset \d+: .*\({errno.errorcode[number]}\)"
    with pytest.raises(StorageError, match=told):
        lane.write(direct_store, "entry", SIZE, seen())
    assert fake.pending == {}
    left = [path for path in tmp_path.rglob("*.kv*") if not path.name.startswith("slab")]
    assert left == []
    entry = lane.write(direct_store, "entry", SIZE, seen())  # the lane is as good as before
    fake.submitted, fake.fails_at = 0, 5
    with pytest.raises(StorageError, match=told.replace("writing", "reading")):
        lane.read(direct_store, entry, seen())
    assert fake.pending == {}
    lane.read(direct_store, entry, seen())


def test_a_write_that_takes_nothing_is_no_endless_loop(
    direct_store: Store, lane_with: MakeLane, seen: Any
) -> None:
    lane = lane_with(FakeQueue(MOST, fails_at=3))
    with pytest.raises(StorageError, match=r"at offset \d+ the system took nothing of 65536 bytes"):
        lane.write(direct_store, "entry", SIZE, seen())


def test_of_several_failures_the_first_of_the_entry_is_told(
    tmp_path: Path, store_of: Any, lane_with: MakeLane, seen: Any
) -> None:
    store = store_of("entry, direct", tmp_path)
    lane = lane_with(FakeQueue)
    entry = lane.write(store, "entry", SIZE, seen())
    os.truncate(tmp_path / f"{digest_name('entry')}.kv", 0)
    with pytest.raises(StorageError, match="the file ends at offset 0; 65536 more"):
        lane.read(store, entry, seen())


def test_what_is_in_flight_at_a_cut_off_ends_and_counts(
    direct_store: Store, lane_with: MakeLane, seen: Any
) -> None:
    fake = FakeQueue(MOST)
    lane = lane_with(fake)
    entry = lane.write(direct_store, "entry", SIZE, seen())

    class StopsAtOnce(seen):  # type: ignore[misc]  # a class that a fixture gives
        def chunk(self, *given: int) -> None:
            super().chunk(*given)
            lane.stopping.set()

    noted = StopsAtOnce()
    fake.submitted = 0
    with pytest.raises(CutOffError):
        lane.read(direct_store, entry, noted)
    assert fake.pending == {}
    assert noted.chunks == fake.submitted < COUNT


@pytest.mark.parametrize("place", ["before submit", "after submit", "after reap"])
@pytest.mark.parametrize("at", [0, 2, 5])
def test_an_interrupt_leaves_nothing_in_flight(
    tmp_path: Path, direct_store: Store, lane_with: MakeLane, seen: Any, place: str, at: int
) -> None:
    fake = FakeQueue(MOST, interrupts_at=(place, at))
    lane = lane_with(fake)
    with pytest.raises(KeyboardInterrupt):
        lane.write(direct_store, "entry", SIZE, seen())
    assert (fake.pending, fake.forgotten) == ({}, 1)
    left = [path for path in tmp_path.rglob("*.kv*") if not path.name.startswith("slab")]
    assert left == []
    lane.read(direct_store, lane.write(direct_store, "again", SIZE, seen()), seen())


class Late:
    """Notes how late ends were seen."""

    def __init__(self) -> None:
        self.late_ns: list[int] = []

    def chunk(self, _: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
        assert 0 <= late_ns <= ended_ns - started_ns
        self.late_ns.append(late_ns)

    def durable(self, *_: int) -> None: ...
    def verified(self, *_: int) -> None: ...


class EndsWhen(FakeQueue):
    """Transfers end at a look of a certain number after they were submitted."""

    looks = 0

    def submit(self, slot: int, **asked: Any) -> None:
        super().submit(slot, **asked)
        self.looks = 0

    def reap(self, *, waits: bool) -> list[Event]:
        self.looks += 1
        self.is_eager = self.looks == self.depth  # here: when to end
        return super().reap(waits=waits)


@pytest.mark.parametrize(
    ("look", "is_late"),
    [(1, False), (2, True), (3, False)],
    ids=["within the call", "while content was made", "while the lane waited"],
)
def test_only_ends_that_came_while_a_lane_was_busy_are_late(
    tmp_path: Path, store_of: Any, *, look: int, is_late: bool
) -> None:
    store = store_of("entry, direct", tmp_path)
    noted = Late()
    with Lane(
        *(Payload(5), CHUNKING, threading.Event()), open_queue=lambda _: EndsWhen(look)
    ) as lane:
        lane.write(store, "entry", SIZE, noted)
    assert len(noted.late_ns) == COUNT
    assert {late > 0 for late in noted.late_ns} == {is_late}


def test_a_host_without_queues_moves_one_chunk_after_another_and_says_so(
    direct_store: Store, lane_with: MakeLane, seen: Any
) -> None:
    def refuse(depth: int) -> KernelQueue:
        raise QueueRefusedError(f"no {depth} slots")

    lane = lane_with(refuse)
    assert (lane.most_in_flight, lane.refusal) == (MOST, "")
    noted = seen()
    lane.read(direct_store, lane.write(direct_store, "entry", SIZE, seen()), noted)
    assert noted.checked == COUNT
    assert (lane.most_in_flight, lane.refusal) == (1, "no 4 slots")


def test_the_page_cache_takes_one_chunk_after_another_and_that_is_said(
    tmp_path: Path, seen: Any
) -> None:
    store = EntryFiles(tmp_path, FileIo("buffered"))
    for asked_for, said in ((1, ""), (2, "files go through the page cache")):
        with Lane(Payload(5), CHUNKING, threading.Event(), chunks_in_flight=asked_for) as lane:
            lane.write(store, f"entry{asked_for}", SIZE, seen())
            assert said in lane.refusal
            assert lane.most_in_flight == 1
            assert bool(lane.refusal) == bool(said)


def test_a_buffer_rests_for_16_mib_of_others_before_it_is_used_again() -> None:
    pool = BufferPool(1 << 20, 1)
    last = pool.take()
    pool.put(last)
    others = [pool.take() for _ in range(16)]  # those that rest, beside the one in use
    assert last not in others
    assert pool.take() is last


@pytest.mark.parametrize(
    ("lanes", "chunks", "kib", "opens", "buffers"),
    [
        (1, 1, 64, KernelQueue, 2),
        (16, 2, 64, KernelQueue, 48),
        (16, 1, 1020, None, 16),
        (16, 1, 1024, KernelQueue, 32),
        (16, 1, 4096, KernelQueue, 32),
    ],
)
def test_lanes_beside_others_move_one_small_chunk_each_by_plain_calls(
    lanes: int, chunks: int, kib: int, opens: object, buffers: int
) -> None:
    assert queues_for(lanes, chunks, kib * 1024) is opens
    assert buffers_for(lanes, chunks, kib * 1024) == buffers


def test_without_a_queue_files_are_moved_by_plain_calls(
    direct_store: Store, seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    pwritev = os.pwritev

    def counted(descriptor: int, buffers: Any, offset: int) -> int:
        calls.append(offset)
        return pwritev(descriptor, buffers, offset)

    monkeypatch.setattr(os, "pwritev", counted)
    with Lane(Payload(5), CHUNKING, threading.Event(), open_queue=None) as lane:
        lane.write(direct_store, "entry", CHUNK, seen())
        assert (len(calls), lane.most_in_flight, lane.refusal) == (1, 1, "")


def test_memory_needs_no_queue(seen: Any) -> None:
    def fail(_: int) -> KernelQueue:
        raise AssertionError("a queue was asked for")

    with Lane(
        *(Payload(5), CHUNKING, threading.Event()), chunks_in_flight=MOST, open_queue=fail
    ) as lane:
        lane.write(MemoryStore(CHUNK), "entry", SIZE, seen())
        assert lane.refusal == ""


def test_a_copy_between_files_keeps_within_the_number_in_flight(
    tmp_path: Path, store_of: Any, lane_with: MakeLane, seen: Any
) -> None:
    (tmp_path / "other").mkdir()
    source = store_of("entry, direct", tmp_path)
    target = store_of("block, direct", tmp_path / "other")
    fake = FakeQueue(MOST)
    lane = lane_with(fake)
    entry = lane.write(source, "entry", SIZE, seen())
    read, written, noted = seen(), seen(), seen()
    lane.copy(source, target, entry, read, written)
    lane.read(target, entry, noted)
    assert (read.chunks, written.chunks, noted.checked) == (COUNT, COUNT, COUNT)
    assert fake.most_pending == MOST
    target.close()


def test_reserved_files_have_their_space_at_once_and_never_more(tmp_path: Path, seen: Any) -> None:
    store = EntryFiles(tmp_path, FileIo("buffered", reserves=True))
    with Lane(Payload(5), CHUNKING, threading.Event()) as lane:
        sizes = []

        class Looks(seen):  # type: ignore[misc]  # a class that a fixture gives
            def chunk(self, *given: int) -> None:
                super().chunk(*given)
                sizes.append((tmp_path / f"{digest_name('entry')}.kv").stat().st_size)

        entry = lane.write(store, "entry", SIZE, Looks())
        lane.read(store, entry, seen())
    assert set(sizes) == {SIZE}
