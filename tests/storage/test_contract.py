"""Contract of every store: all layouts in both modes, and memory."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from mlpstorage_bench.paths import digest_name
from mlpstorage_bench.storage.block_files import BlockFiles
from mlpstorage_bench.storage.buffers import AlignedBuffer, round_up_to_sector
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.io_thread import IoThread
from mlpstorage_bench.storage.kernel_queue import QueueKind
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.lane_waits import CutOffError
from mlpstorage_bench.storage.memory import MemoryStore
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.slab import Slab
from mlpstorage_bench.storage.store import Chunking, Store
from tests.lanes import LoneLane, run_lanes
from tests.memory_kinds import MEMORY_KINDS, MemoryKind, pool_in
from tests.storage.conftest import QUEUE_KINDS, opener_of

CHUNK = 64 * 1024
BLOCK = 160 * 1024
CHUNKING = Chunking(CHUNK, BLOCK)
SIZES = st.integers(1, 3 * BLOCK)


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.slow
@given(size=SIZES)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_read_returns_and_checks_all_written_bytes(
    store: Store, lane: LoneLane, observer_class: Any, size: int
) -> None:
    written, read = observer_class(), observer_class()
    entry = lane.write(store, "entry", size, written)
    lane.read(store, entry, read)
    stored = round_up_to_sector(size)
    assert (entry.size, written.moved, read.moved) == (stored, stored, stored)
    assert read.checked == read.chunks == written.chunks == CHUNKING.count(stored)
    assert store.footprint(stored) >= stored
    store.delete("entry")


def test_second_delete_is_harmless_and_name_is_reusable(
    store: Store, lane: LoneLane, observer_class: Any
) -> None:
    lane.write(store, "entry", CHUNK, observer_class())
    store.delete("entry")
    store.delete("entry")
    lane.write(store, "entry", BLOCK, observer_class())


def test_cut_off_write_leaves_no_file(
    file_store: Store, lane: LoneLane, observer_class: Any, tmp_path: Path
) -> None:
    class StopsAfterTwo(observer_class):  # type: ignore[misc]  # a class that a fixture gives
        def chunk(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
            super().chunk(size, started_ns, ended_ns, late_ns)
            if self.chunks == 2:
                lane.stopping.set()

    observer = StopsAfterTwo()
    with pytest.raises(CutOffError):
        lane.write(file_store, "entry", 20 * CHUNK, observer)
    assert 2 <= observer.chunks < 20
    assert [path for path in files_below(tmp_path) if not path.name.startswith("slab")] == []
    lane.stopping.clear()
    lane.write(file_store, "entry", CHUNK, observer_class())


def test_copied_entry_is_readable_in_both_stores(
    store: Store, lane: LoneLane, observer_class: Any
) -> None:
    other = MemoryStore(CHUNK)
    entry = lane.write(store, "entry", BLOCK + CHUNK + 1, observer_class())
    lane.copy(store, other, entry, observer_class(), observer_class())
    for place in (store, other):
        observer = observer_class()
        lane.read(place, entry, observer)
        assert observer.checked == CHUNKING.count(entry.size) > 0


def test_entry_copied_from_memory_passes_its_check(
    store: Store, lane: LoneLane, observer_class: Any
) -> None:
    memory = MemoryStore(CHUNK)
    entry = lane.write(memory, "entry", 2 * BLOCK + 4096, observer_class())
    lane.copy(memory, store, entry, observer_class(), observer_class())
    observer = observer_class()
    lane.read(store, entry, observer)
    assert observer.checked == CHUNKING.count(entry.size)


def test_closed_store_leaves_no_file(
    file_store: Store, lane: LoneLane, observer_class: Any, tmp_path: Path
) -> None:
    lane.write(file_store, "entry", 2 * BLOCK, observer_class())
    assert files_below(tmp_path)
    file_store.delete("entry")
    file_store.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("memory", MEMORY_KINDS)
@pytest.mark.parametrize("kind", QUEUE_KINDS)
def test_concurrent_lanes_share_a_store(
    store: Store, observer_class: Any, kind: QueueKind | None, memory: MemoryKind
) -> None:
    pool = pool_in(memory, CHUNK, 12)
    thread = IoThread(opener_of(kind), 6, helpers=6, memory=[pool.memory])

    def work(number: int) -> None:
        lane = Lane(Payload(5), CHUNKING, threading.Event(), thread, buffers=pool)
        for turn in range(10):
            entry = lane.write(store, f"{number}-{turn}", BLOCK + number * 4096, observer_class())
            lane.read(store, entry, observer_class())
            store.delete(entry.name)

    run_lanes([partial(work, number) for number in range(6)], thread)


@pytest.mark.parametrize("durability", ["none", "fdatasync", "fsync"])
@pytest.mark.parametrize("mode", ["direct", "buffered"])
def test_files_are_synced_as_configured(
    tmp_path: Path, store_of: Any, observer_class: Any, mode: str, durability: str
) -> None:
    store_of(f"entry, {mode}", tmp_path)  # skips without direct I/O
    io = FileIo(mode, durability)  # type: ignore[arg-type]  # literals
    dropped = mode == "buffered"  # only clean pages can be dropped
    stores: tuple[Store, ...] = (
        EntryFiles(tmp_path, io),
        BlockFiles(tmp_path, io, BLOCK),
        Slab(tmp_path, io, BLOCK, BLOCK * 4),
    )
    for store, files in zip(stores, (1, 3, 1), strict=True):
        with LoneLane(Payload(5), CHUNKING, threading.Event()) as lane:
            observer = observer_class()
            lane.write(store, "entry", 3 * BLOCK, observer)
            assert observer.syncs == (files if durability != "none" or dropped else 0)
            store.delete("entry")
        store.close()


@pytest.mark.slow
def test_chunks_are_checked_at_the_verify_rate(tmp_path: Path, observer_class: Any) -> None:
    store = EntryFiles(tmp_path, FileIo("buffered"))
    for rate, least, most in ((0.0, 0, 0), (0.25, 40, 160), (1.0, 400, 400)):
        with LoneLane(Payload(5), Chunking(4096), threading.Event(), verify_rate=rate) as lane:
            entry = lane.write(store, "entry", 40 * 4096, observer_class())
            observer = observer_class()
            for _ in range(10):
                lane.read(store, entry, observer)
            assert observer.chunks == 400
            assert least <= observer.checked <= most
            store.delete("entry")


def test_single_chunk_is_read_and_checked_in_every_store(
    store: Store, lane: LoneLane, observer_class: Any
) -> None:
    entry = lane.write(store, "entry", 2 * BLOCK + 4096, observer_class())
    for number in reversed(range(CHUNKING.count(entry.size))):
        observer = observer_class()
        lane.check_chunk(store, entry, number, observer)
        assert (observer.chunks, observer.checked) == (1, 1)


def test_block_file_is_renamed_when_complete(
    tmp_path: Path, store_of: Any, observer_class: Any
) -> None:
    store = store_of("block, buffered", tmp_path)
    names: list[list[str]] = []

    class FileListingObserver(observer_class):  # type: ignore[misc]  # a class that a fixture gives
        def chunk(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
            super().chunk(size, started_ns, ended_ns, late_ns)
            names.append(sorted(path.name for path in files_below(tmp_path)))

    with LoneLane(Payload(5), CHUNKING, threading.Event()) as lane:
        lane.write(store, "entry", 2 * BLOCK, FileListingObserver())
    stem = digest_name("entry")
    assert names[0] == [f"{stem}.0.kv.tmp"]
    assert names[3] == [f"{stem}.0.kv", f"{stem}.1.kv.tmp"]
    assert sorted(path.name for path in files_below(tmp_path)) == [f"{stem}.0.kv", f"{stem}.1.kv"]
    depths = {len(path.relative_to(tmp_path / "blocks").parts) for path in files_below(tmp_path)}
    assert depths == {3}  # two levels, and the file


@pytest.mark.slow
def test_slab_is_preallocated_and_reuses_slots(
    tmp_path: Path, store_of: Any, observer_class: Any
) -> None:
    store = store_of("slab, buffered", tmp_path)
    with LoneLane(Payload(5), CHUNKING, threading.Event()) as lane:
        lane.write(store, "first", CHUNK, observer_class())
        [slab] = files_below(tmp_path)
        blocks = slab.stat().st_blocks
        assert blocks * 512 >= slab.stat().st_size == (64 << 20) // BLOCK * BLOCK
        slots = (64 << 20) // BLOCK
        for number in range(2 * slots):
            lane.write(store, f"{number}", CHUNK, observer_class())
            store.delete(f"{number}")
        assert files_below(tmp_path) == [slab]
        assert slab.stat().st_size == (64 << 20) // BLOCK * BLOCK
        assert slab.stat().st_blocks < 1.01 * blocks  # the filesystem's own records of extents
        assert store.footprint(CHUNK) == BLOCK


LANES = list(itertools.product(QUEUE_KINDS, MEMORY_KINDS, (1, 3)))
"""Queue, memory, and chunks in flight of the lanes of one store."""


class StoreMachine(RuleBasedStateMachine):
    """Compares a store with a dictionary after random sequences of operations.

    Any lane may read what another one wrote, over another queue and from other memory.
    """

    kind = ""
    folder = Path()
    make: Any = None
    observer_class: Any = None
    lanes: Sequence[LoneLane] = ()

    entries = Bundle("entries")

    def __init__(self) -> None:
        super().__init__()
        self.store: Store = self.make(self.kind, self.folder)
        self.model: dict[str, bytes] = {}
        self.written = 0

    @rule(
        target=entries,
        size=SIZES,
        lane=st.integers(0, len(LANES) - 1),
        generation=st.integers(0, 3),
    )
    def write(self, size: int, lane: int, generation: int) -> Any:
        self.written += 1
        name = f"entry{self.written}"
        entry = self.lanes[lane].write(
            self.store, name, size, self.observer_class(), generation=generation
        )
        self.model[name] = expected(name, entry.size, generation)
        return entry

    @rule(entry=entries, lane=st.integers(0, len(LANES) - 1))
    def read(self, entry: Any, lane: int) -> None:
        observer = self.observer_class()
        self.lanes[lane].read(self.store, entry, observer)
        assert observer.checked == CHUNKING.count(entry.size)
        assert raw(self.store, entry.name, entry.size) == self.model[entry.name]

    @rule(entry=consumes(entries))
    def delete(self, entry: Any) -> None:
        self.store.delete(entry.name)
        del self.model[entry.name]

    @invariant()
    def has_no_other_data(self) -> None:
        kept = sum(
            path.stat().st_size
            for path in files_below(self.folder)
            if not path.name.startswith("slab")
        )
        if not self.kind.startswith(("slab", "memory")):
            assert kept == sum(len(content) for content in self.model.values())

    def teardown(self) -> None:
        for name in self.model:
            self.store.delete(name)
        self.store.close()
        assert files_below(self.folder) == []


def expected(name: str, size: int, generation: int) -> bytes:
    payload = Payload(9)
    buffer = AlignedBuffer(size)
    payload.content(payload.identity(name, generation)).fill(buffer, size, 0)
    return bytes(buffer.bytes)


def raw(store: Store, name: str, size: int) -> bytes:
    """Read an entry chunk by chunk, from its end to its start."""

    class IgnoringObserver:
        def chunk(self, *_: int) -> None: ...
        def cached(self, *_: int) -> None: ...
        def durable(self, *_: int) -> None: ...
        def verified(self, *_: int) -> None: ...

    buffer = AlignedBuffer(round_up_to_sector(size))
    with store.reader(name, IgnoringObserver()) as reader:
        for chunk in reversed(list(CHUNKING.chunks(size))):
            reader.get(buffer.bytes[chunk.offset : chunk.offset + chunk.size], chunk.offset)
    return bytes(buffer.bytes[:size])


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        *(
            f"{layout}, {m}"
            for layout in ("entry", "block", "slab")
            for m in ("direct", "buffered")
        ),
        "memory",
    ],
)
def test_store_behaves_like_a_dictionary(
    kind: str, tmp_path: Path, store_of: Any, observer_class: Any, pool_of: Any, thread_of: Any
) -> None:
    lanes = [
        LoneLane(
            *(Payload(9), CHUNKING, threading.Event()),
            chunks_in_flight=count,
            buffers=pool_of(memory),
            thread=thread_of(queue, memory),
        )
        for queue, memory, count in LANES
    ]
    machine = type(
        "Machine",
        (StoreMachine,),
        {
            "kind": kind,
            "folder": tmp_path,
            "make": staticmethod(store_of),
            "observer_class": observer_class,
            "lanes": lanes,
        },
    )
    run_state_machine_as_test(
        machine, settings=settings(max_examples=15, stateful_step_count=15, deadline=None)
    )


@pytest.mark.slow
def test_chunks_cover_the_entry_without_crossing_extents() -> None:
    @given(
        size=st.integers(1, 50).map(lambda n: n * 4096),
        chunk=st.integers(1, 9),
        extent=st.none() | st.integers(1, 9),
    )
    def covers(size: int, chunk: int, extent: int | None) -> None:
        extent_bytes = None if extent is None else extent * 4096
        cuts = list(Chunking(chunk * 4096, extent_bytes).chunks(size))
        assert [cut.number for cut in cuts] == list(range(len(cuts)))
        assert len(cuts) == Chunking(chunk * 4096, extent_bytes).count(size)
        for cut in cuts:
            assert Chunking(chunk * 4096, extent_bytes).chunk(size, cut.number) == cut
        assert sum(cut.size for cut in cuts) == size
        at = 0
        for cut in cuts:
            assert cut.offset == at
            assert 0 < cut.size <= chunk * 4096
            if extent_bytes:
                assert cut.offset // extent_bytes == (cut.offset + cut.size - 1) // extent_bytes
            at += cut.size

    covers()


@pytest.mark.slow
def test_failed_chunk_ends_the_operation(tmp_path: Path, observer_class: Any) -> None:
    with LoneLane(Payload(5), Chunking(4096), threading.Event(), chunks_in_flight=4) as lane:
        store = EntryFiles(tmp_path, FileIo("buffered"))
        entry = lane.write(store, "entry", 1 << 22, observer_class())
        os.truncate(tmp_path / f"{digest_name('entry')}.kv", 4096 * 8)
        observer = observer_class()
        with pytest.raises(Exception, match="the file ends at offset"):
            lane.read(store, entry, observer)
        assert observer.chunks <= 8


@pytest.fixture(autouse=True)
def _no_thread_remains() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before
