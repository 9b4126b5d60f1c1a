"""One contract for every place that keeps entries: all layouts in both modes, and memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
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
from mlpstorage_bench.storage.lane import CutOffError, Lane
from mlpstorage_bench.storage.memory import MemoryStore
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.slab import Slab
from mlpstorage_bench.storage.store import Chunking, Store

CHUNK = 64 * 1024
BLOCK = 160 * 1024
CHUNKING = Chunking(CHUNK, BLOCK)
SIZES = st.integers(1, 3 * BLOCK)


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@given(size=SIZES)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_written_is_read_back_whole_and_checked(
    store: Store, lane: Lane, seen: Any, size: int
) -> None:
    written, read = seen(), seen()
    entry = lane.write(store, "entry", size, written)
    lane.read(store, entry, read)
    stored = round_up_to_sector(size)
    assert (entry.size, written.moved, read.moved) == (stored, stored, stored)
    assert read.checked == read.chunks == written.chunks == CHUNKING.count(stored)
    assert store.footprint(stored) >= stored
    store.delete("entry")


def test_deleting_twice_does_no_harm_and_the_name_is_free_again(
    store: Store, lane: Lane, seen: Any
) -> None:
    lane.write(store, "entry", CHUNK, seen())
    store.delete("entry")
    store.delete("entry")
    lane.write(store, "entry", BLOCK, seen())


def test_a_write_that_is_cut_off_leaves_nothing(
    file_store: Store, lane: Lane, seen: Any, tmp_path: Path
) -> None:
    class StopsAfterTwo(seen):  # type: ignore[misc]  # a class that a fixture gives
        def chunk(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
            super().chunk(size, started_ns, ended_ns, late_ns)
            if self.chunks == 2:
                lane.stopping.set()

    noted = StopsAfterTwo()
    with pytest.raises(CutOffError):
        lane.write(file_store, "entry", 20 * CHUNK, noted)
    assert 2 <= noted.chunks < 20
    assert [path for path in files_below(tmp_path) if not path.name.startswith("slab")] == []
    lane.stopping.clear()
    lane.write(file_store, "entry", CHUNK, seen())


def test_a_copy_can_be_read_in_both_places(store: Store, lane: Lane, seen: Any) -> None:
    other = MemoryStore(CHUNK)
    entry = lane.write(store, "entry", BLOCK + CHUNK + 1, seen())
    lane.copy(store, other, entry, seen(), seen())
    for place in (store, other):
        noted = seen()
        lane.read(place, entry, noted)
        assert noted.checked == CHUNKING.count(entry.size) > 0


def test_a_copy_back_from_memory_is_the_same(store: Store, lane: Lane, seen: Any) -> None:
    memory = MemoryStore(CHUNK)
    entry = lane.write(memory, "entry", 2 * BLOCK + 4096, seen())
    lane.copy(memory, store, entry, seen(), seen())
    noted = seen()
    lane.read(store, entry, noted)
    assert noted.checked == CHUNKING.count(entry.size)


def test_closing_leaves_no_file(file_store: Store, lane: Lane, seen: Any, tmp_path: Path) -> None:
    lane.write(file_store, "entry", 2 * BLOCK, seen())
    assert files_below(tmp_path)
    file_store.delete("entry")
    file_store.close()
    assert list(tmp_path.iterdir()) == []


def test_many_lanes_share_a_store(store: Store, seen: Any) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with Lane(Payload(5), CHUNKING, threading.Event()) as lane:
                for turn in range(10):
                    entry = lane.write(store, f"{number}-{turn}", BLOCK + number * 4096, seen())
                    lane.read(store, entry, seen())
                    store.delete(entry.name)
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("durability", ["none", "fdatasync", "fsync"])
@pytest.mark.parametrize("mode", ["direct", "buffered"])
def test_files_are_made_durable_as_asked_for(
    tmp_path: Path, store_of: Any, seen: Any, mode: str, durability: str
) -> None:
    store_of(f"entry, {mode}", tmp_path)  # skips where there is no direct I/O
    io = FileIo(mode, durability)  # type: ignore[arg-type]  # literals
    dropped = mode == "buffered"  # only clean pages can be dropped
    stores: tuple[Store, ...] = (
        EntryFiles(tmp_path, io),
        BlockFiles(tmp_path, io, BLOCK),
        Slab(tmp_path, io, BLOCK, BLOCK * 4),
    )
    for store, files in zip(stores, (1, 3, 1), strict=True):
        with Lane(Payload(5), CHUNKING, threading.Event()) as lane:
            noted = seen()
            lane.write(store, "entry", 3 * BLOCK, noted)
            assert noted.syncs == (files if durability != "none" or dropped else 0)
            store.delete("entry")
        store.close()


def test_checks_are_made_at_the_rate_asked_for(tmp_path: Path, seen: Any) -> None:
    store = EntryFiles(tmp_path, FileIo("buffered"))
    for rate, checks in ((0.0, 0), (0.25, 10), (1.0, 40)):
        with Lane(Payload(5), Chunking(4096), threading.Event(), verify_rate=rate) as lane:
            entry = lane.write(store, "entry", 40 * 4096, seen())
            noted = seen()
            lane.read(store, entry, noted)
            assert (noted.chunks, noted.checked) == (40, checks)
            store.delete("entry")


def test_a_block_appears_under_its_name_only_when_it_is_complete(
    tmp_path: Path, store_of: Any, seen: Any
) -> None:
    store = store_of("block, buffered", tmp_path)
    names: list[list[str]] = []

    class Looks(seen):  # type: ignore[misc]  # a class that a fixture gives
        def chunk(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
            super().chunk(size, started_ns, ended_ns, late_ns)
            names.append(sorted(path.name for path in files_below(tmp_path)))

    with Lane(Payload(5), CHUNKING, threading.Event()) as lane:
        lane.write(store, "entry", 2 * BLOCK, Looks())
    stem = digest_name("entry")
    assert names[0] == [f"{stem}.0.kv.tmp"]
    assert names[3] == [f"{stem}.0.kv", f"{stem}.1.kv.tmp"]
    assert sorted(path.name for path in files_below(tmp_path)) == [f"{stem}.0.kv", f"{stem}.1.kv"]
    depths = {len(path.relative_to(tmp_path / "blocks").parts) for path in files_below(tmp_path)}
    assert depths == {3}  # two levels, and the file


def test_a_slab_is_preallocated_and_its_slots_are_used_again(
    tmp_path: Path, store_of: Any, seen: Any
) -> None:
    store = store_of("slab, buffered", tmp_path)
    with Lane(Payload(5), CHUNKING, threading.Event()) as lane:
        lane.write(store, "first", CHUNK, seen())
        [slab] = files_below(tmp_path)
        blocks = slab.stat().st_blocks
        assert blocks * 512 >= slab.stat().st_size == (64 << 20) // BLOCK * BLOCK
        slots = (64 << 20) // BLOCK
        for number in range(2 * slots):
            lane.write(store, f"{number}", CHUNK, seen())
            store.delete(f"{number}")
        assert files_below(tmp_path) == [slab]
        assert slab.stat().st_size == (64 << 20) // BLOCK * BLOCK
        assert slab.stat().st_blocks < 1.01 * blocks  # the filesystem's own records of extents
        assert store.footprint(CHUNK) == BLOCK


class AgainstADictionary(RuleBasedStateMachine):
    """Any sequence of operations leaves in the store what it would leave in a dictionary."""

    kind = ""
    folder = Path()
    make: Any = None
    seen: Any = None

    entries = Bundle("entries")

    def __init__(self) -> None:
        super().__init__()
        self.store: Store = self.make(self.kind, self.folder)
        self.lanes = [
            Lane(Payload(9), CHUNKING, threading.Event(), chunks_in_flight=count)
            for count in (1, 3)
        ]
        self.model: dict[str, bytes] = {}
        self.written = 0

    @rule(target=entries, size=SIZES, lane=st.integers(0, 1), generation=st.integers(0, 3))
    def write(self, size: int, lane: int, generation: int) -> Any:
        self.written += 1
        name = f"entry{self.written}"
        entry = self.lanes[lane].write(self.store, name, size, self.seen(), generation=generation)
        self.model[name] = expected(name, entry.size, generation)
        return entry

    @rule(entry=entries, lane=st.integers(0, 1))
    def read(self, entry: Any, lane: int) -> None:
        noted = self.seen()
        self.lanes[lane].read(self.store, entry, noted)
        assert noted.checked == CHUNKING.count(entry.size)
        assert raw(self.store, entry.name, entry.size) == self.model[entry.name]

    @rule(entry=consumes(entries))
    def delete(self, entry: Any) -> None:
        self.store.delete(entry.name)
        del self.model[entry.name]

    @invariant()
    def keeps_nothing_else(self) -> None:
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
        for lane in self.lanes:
            lane.__exit__()
        assert files_below(self.folder) == []


def expected(name: str, size: int, generation: int) -> bytes:
    payload = Payload(9)
    buffer = AlignedBuffer(size)
    payload.content(payload.identity(name, generation)).fill(buffer, size, 0)
    return bytes(buffer.bytes)


def raw(store: Store, name: str, size: int) -> bytes:
    """Read an entry chunk by chunk, from its end to its start."""

    class Nobody:
        def chunk(self, *_: int) -> None: ...
        def durable(self, *_: int) -> None: ...
        def verified(self, *_: int) -> None: ...

    buffer = AlignedBuffer(round_up_to_sector(size))
    with store.reader(name, Nobody()) as reader:
        for chunk in reversed(list(CHUNKING.chunks(size))):
            reader.get(buffer.bytes[chunk.offset : chunk.offset + chunk.size], chunk.offset)
    return bytes(buffer.bytes[:size])


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
def test_a_store_behaves_like_a_dictionary(
    kind: str, tmp_path: Path, store_of: Any, seen: Any
) -> None:
    machine = type(
        "Machine",
        (AgainstADictionary,),
        {"kind": kind, "folder": tmp_path, "make": staticmethod(store_of), "seen": seen},
    )
    run_state_machine_as_test(
        machine, settings=settings(max_examples=15, stateful_step_count=15, deadline=None)
    )


def test_chunks_never_cross_an_extent_and_cover_the_entry() -> None:
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
        assert sum(cut.size for cut in cuts) == size
        at = 0
        for cut in cuts:
            assert cut.offset == at
            assert 0 < cut.size <= chunk * 4096
            if extent_bytes:
                assert cut.offset // extent_bytes == (cut.offset + cut.size - 1) // extent_bytes
            at += cut.size

    covers()


def test_a_failure_in_one_chunk_ends_the_others_of_the_entry(tmp_path: Path, seen: Any) -> None:
    with Lane(Payload(5), Chunking(4096), threading.Event(), chunks_in_flight=4) as lane:
        store = EntryFiles(tmp_path, FileIo("buffered"))
        entry = lane.write(store, "entry", 1 << 22, seen())
        os.truncate(tmp_path / f"{digest_name('entry')}.kv", 4096 * 8)
        noted = seen()
        with pytest.raises(Exception, match="the file ends at offset"):
            lane.read(store, entry, noted)
        assert noted.chunks <= 8


@pytest.fixture(autouse=True)
def _no_thread_remains() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before
