"""One contract for every place that keeps entries."""

from __future__ import annotations

import lzma
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mlpstorage_bench.storage.buffers import AlignedBuffer, round_up_to_sector
from mlpstorage_bench.storage.files import EntryFiles, probe_direct_io
from mlpstorage_bench.storage.memory import MemoryStore
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import (
    CutOffError,
    Lane,
    Store,
    copy_entry,
    read_entry,
    write_entry,
)

CHUNK = 64 * 1024
PAYLOAD = Payload(5, CHUNK)


class Seen:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.moved = 0
        self.chunks = 0
        self.checked = 0

    def chunk(self, size: int, started_ns: int, ended_ns: int) -> None:
        assert started_ns <= ended_ns
        self.moved += size
        self.chunks += 1

    def durable(self, started_ns: int, ended_ns: int) -> None:
        assert started_ns <= ended_ns

    def verified(self, started_ns: int, ended_ns: int) -> None:
        assert started_ns <= ended_ns
        self.checked += 1


def direct(folder: Path) -> Store:
    if not probe_direct_io(folder):
        pytest.skip("this filesystem has no direct I/O")
    return EntryFiles(folder, "direct")


STORES: dict[str, Callable[[Path], Store]] = {
    "direct files": direct,
    "buffered files": lambda folder: EntryFiles(folder, "buffered"),
    "memory": lambda _folder: MemoryStore(CHUNK),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return STORES[request.param](tmp_path)


@pytest.fixture
def lane() -> Lane:
    return Lane(AlignedBuffer(CHUNK), threading.Event())


@given(size=st.integers(1, 5 * CHUNK))
@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_written_is_read_back_whole_and_checked(
    store: Store, lane: Lane, size: int
) -> None:
    written, read = Seen(), Seen()
    entry = write_entry(store, "entry", size, PAYLOAD, lane, written)
    read_entry(store, entry, PAYLOAD, lane, read)
    stored = round_up_to_sector(size)
    assert (entry.size, written.moved, read.moved) == (stored, stored, stored)
    assert read.checked == read.chunks == written.chunks == -(-stored // CHUNK)
    store.delete("entry")


def test_deleting_twice_does_no_harm(store: Store, lane: Lane) -> None:
    write_entry(store, "entry", CHUNK, PAYLOAD, lane, Seen())
    store.delete("entry")
    store.delete("entry")
    write_entry(store, "entry", CHUNK, PAYLOAD, lane, Seen())


def test_a_write_that_is_cut_off_leaves_nothing(store: Store, lane: Lane, tmp_path: Path) -> None:
    class StopsAfterTwo(Seen):
        def chunk(self, size: int, started_ns: int, ended_ns: int) -> None:
            super().chunk(size, started_ns, ended_ns)
            if self.chunks == 2:
                lane.stopping.set()

    seen = StopsAfterTwo()
    with pytest.raises(CutOffError):
        write_entry(store, "entry", 5 * CHUNK, PAYLOAD, lane, seen)
    assert seen.chunks == 2
    assert not list(tmp_path.glob("*.kv"))
    lane.stopping.clear()
    write_entry(store, "entry", CHUNK, PAYLOAD, lane, Seen())


def test_a_copy_can_be_read_in_both_places(store: Store, lane: Lane) -> None:
    other = MemoryStore(CHUNK)
    entry = write_entry(store, "entry", 3 * CHUNK + 1, PAYLOAD, lane, Seen())
    copy_entry(store, other, entry, lane, Seen(), Seen())
    for place in (store, other):
        seen = Seen()
        read_entry(place, entry, PAYLOAD, lane, seen)
        assert seen.checked == 4


def test_entries_differ_in_every_sector_and_do_not_compress(lane: Lane, tmp_path: Path) -> None:

    files = EntryFiles(tmp_path, "buffered")
    for name in ("a", "b"):
        write_entry(files, name, 8 * CHUNK, PAYLOAD, lane, Seen())
    content = (tmp_path / "a.kv").read_bytes() + (tmp_path / "b.kv").read_bytes()
    sectors = [content[at : at + 4096] for at in range(0, len(content), 4096)]
    assert len(set(sectors)) == len(sectors) == 256
    for compressed in (zlib.compress(content, 9), lzma.compress(content)):
        assert len(compressed) > 0.98 * len(content)
