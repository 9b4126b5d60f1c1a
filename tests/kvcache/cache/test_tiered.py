"""Tiered cache against a simple model, and with concurrent clients."""

from __future__ import annotations

import random
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpstorage_bench.errors import CapacityError, CorruptDataError, StorageError
from mlpstorage_bench.kvcache.cache.client import CacheClient
from mlpstorage_bench.kvcache.cache.eviction import PolicyName
from mlpstorage_bench.kvcache.cache.tier import Tier
from mlpstorage_bench.kvcache.cache.tiered import TieredCache, WriteLimitError
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.paths import digest_name
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.io_thread import IoThread
from mlpstorage_bench.storage.io_threads import IoThreads
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.lane_waits import CutOffError, off_thread
from mlpstorage_bench.storage.memory import MemoryStore
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.queues import QueueOpener
from mlpstorage_bench.storage.slab import Slab
from mlpstorage_bench.storage.store import Chunking
from tests.lanes import LONG_S, LoneLane, error_of

CHUNK = 16 * 1024
SECTOR = 4096
PAYLOAD = Payload(3)


def new_client() -> CacheClient:
    return CacheClient(LoneLane(PAYLOAD, Chunking(CHUNK), threading.Event()), Recorder(Window()))


def memory_tiers(*sectors: int) -> list[Tier]:
    names = ("gpu", "cpu", "storage")[-len(sectors) :]
    return [
        Tier(name, MemoryStore(CHUNK), capacity * SECTOR)
        for name, capacity in zip(names, sectors, strict=True)
    ]


def cache_of(*sectors: int, write_limit: int | None = None) -> TieredCache:
    return TieredCache(memory_tiers(*sectors), write_limit)


class Model:
    """One tier with LRU eviction, filled up to a share of 0.8."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.entries: OrderedDict[str, int] = OrderedDict()

    def write(self, key: str, size: int) -> None:
        while self.entries and sum(self.entries.values()) + size > max(0.8 * self.capacity, size):
            self.entries.popitem(last=False)
        self.entries[key] = size

    def read(self, key: str) -> bool:
        if key in self.entries:
            self.entries.move_to_end(key)
        return key in self.entries


steps = st.lists(
    st.tuples(st.sampled_from(["read", "write"]), st.integers(0, 12), st.integers(1, 9)),
    max_size=60,
)


@pytest.mark.slow
@given(steps)
@settings(max_examples=60, deadline=None)
def test_one_tier_evicts_least_recently_used(
    operations: list[tuple[str, int, int]],
) -> None:
    cache, model, client = cache_of(20), Model(20 * SECTOR), new_client()
    (tier,) = cache.tiers
    for number, (kind, key, sectors) in enumerate(operations):
        if kind == "read":
            name = f"entry{key}"
            assert (cache.read(name, client) is not None) == model.read(name)
        else:
            name = f"entry{key}" if f"entry{key}" not in model.entries else f"extra{number}"
            cache.write(name, sectors * SECTOR, client)
            model.write(name, sectors * SECTOR)
        assert list(tier.order) == list(model.entries)
        assert tier.used_bytes == tier.resident_bytes == sum(model.entries.values())
    cache.close()


@pytest.mark.slow
@given(st.lists(st.integers(1, 11), min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_entries_move_down_without_loss(sizes: list[int]) -> None:
    cache, client = cache_of(8, 16, 400), new_client()
    for number, sectors in enumerate(sizes):
        cache.write(f"entry{number}", sectors * SECTOR, client)
    total = sum(sizes) * SECTOR
    assert sum(tier.resident_bytes for tier in cache.tiers) == total
    for tier in cache.tiers:
        assert tier.written_bytes == tier.resident_bytes + tier.evicted_bytes
        assert tier.used_bytes == tier.resident_bytes <= tier.capacity_bytes
    for number in range(len(sizes)):
        assert cache.read(f"entry{number}", client) is not None
    cache.close()


def test_entry_above_095_of_a_tier_is_placed_in_the_next() -> None:
    cache, client = cache_of(20, 100), new_client()
    assert cache.write("fits", 19 * SECTOR, client) == "cpu"
    assert cache.write("large", 20 * SECTOR, client) == "storage"
    assert {tier.name: tier.offloads for tier in cache.tiers} == {"cpu": 0, "storage": 1}


def test_entry_larger_than_storage_is_refused_with_sizes() -> None:
    with pytest.raises(CapacityError, match="does not fit the storage tier's capacity"):
        cache_of(20).write("huge", 20 * SECTOR, new_client())


@pytest.mark.slow
def test_evicted_entry_is_a_miss() -> None:
    cache, client = cache_of(10), new_client()
    for name in ("a", "b", "c"):
        cache.write(name, 4 * SECTOR, client)
    assert [cache.read(name, client) for name in ("a", "b", "c")] == [None, "storage", "storage"]


@pytest.mark.parametrize("removal", ["evicted", "replaced"])
def test_lost_rewrite_is_detected_as_earlier_content(tmp_path: Path, removal: str) -> None:
    """A write that the storage lost leaves the earlier content."""
    store = EntryFiles(tmp_path, FileIo("buffered"))
    cache, client = TieredCache([Tier("storage", store, 10 * SECTOR)]), new_client()
    cache.write("a", 4 * SECTOR, client)
    before = (tmp_path / f"{digest_name('a')}.kv").read_bytes()
    if removal == "evicted":
        cache.write("b", 8 * SECTOR, client)
        assert "a" not in cache.index
    cache.write("a", 4 * SECTOR, client)
    (tmp_path / f"{digest_name('a')}.kv").write_bytes(before)
    with pytest.raises(CorruptDataError, match="sector 0 of an earlier entry of this name"):
        cache.read("a", client)
    cache.close()


def test_write_beyond_the_limit_is_refused() -> None:
    cache, client = cache_of(100, write_limit=10 * SECTOR), new_client()
    cache.write("a", 6 * SECTOR, client)
    with pytest.raises(WriteLimitError):
        cache.write("b", 5 * SECTOR, client)
    cache.write("c", 4 * SECTOR, client)
    (storage,) = cache.tiers
    assert storage.written_bytes == storage.used_bytes == 10 * SECTOR


def test_cut_off_write_releases_its_space() -> None:
    cache, client = cache_of(100), new_client()
    client.lane.stopping.set()
    with pytest.raises(CutOffError):
        cache.write("a", 6 * SECTOR, client)
    (storage,) = cache.tiers
    assert (storage.used_bytes, storage.written_bytes, len(storage.residents)) == (0, 0, 0)
    cache.close()


def test_entry_stays_in_its_tier_after_cut_off_move() -> None:
    cache, client = cache_of(10, 100), new_client()
    cache.write("a", 6 * SECTOR, client)
    client.lane.stopping.set()
    with pytest.raises(CutOffError):
        cache.write("b", 6 * SECTOR, client)
    client.lane.stopping.clear()
    assert cache.read("a", client) == "cpu"
    cache.write("b", 6 * SECTOR, client)
    assert cache.read("a", client) == "storage"
    cache.close()


def hits_of_concurrent_clients(cache: TieredCache, io_threads: int, largest: int) -> int:
    """Write and read entries of up to `largest` sectors on 8 lanes; return how many were found."""
    hits = Counter[bool]()
    threads = IoThreads(io_threads, QueueOpener(), lanes=8, chunks_in_flight=2)

    def work(number: int) -> None:
        thread, rng = threads.of_lane(number), random.Random(number)
        lane = Lane(PAYLOAD, Chunking(CHUNK), threading.Event(), thread, chunks_in_flight=2)
        client = CacheClient(lane, Recorder(Window()))
        for turn in range(60):
            cache.write(f"w{number}t{turn}", rng.randint(1, largest) * SECTOR, client)
            for _ in range(3):
                key = f"w{rng.randrange(8)}t{rng.randrange(turn + 1)}"
                hits[cache.read(key, client) is not None] += 1

    with threads:
        results = threads.start([partial(work, number) for number in range(8)])
        assert [error_of(result) for result in results] == [None] * 8
    return hits[True]


@pytest.mark.slow
@pytest.mark.parametrize("io_threads", [1, 3])
def test_concurrent_clients_lose_and_leave_no_entry(tmp_path: Path, io_threads: int) -> None:
    tiers = [
        Tier("cpu", MemoryStore(CHUNK), 60 * SECTOR),
        Tier("storage", EntryFiles(tmp_path, FileIo("buffered")), 300 * SECTOR),
    ]
    cache = TieredCache(tiers)
    assert hits_of_concurrent_clients(cache, io_threads, largest=20) > 0
    for tier in cache.tiers:
        tier.check_conservation()
        assert tier.used_bytes == tier.resident_bytes <= tier.capacity_bytes
        assert all(resident.pins == 0 for resident in tier.residents.values())
    on_disk = {path.stem: path.stat().st_size for path in tmp_path.glob("*.kv")}
    assert on_disk == {digest_name(name): r.entry.size for name, r in tiers[1].residents.items()}
    cache.close()
    assert list(tmp_path.iterdir()) == []


class WaitingStore(MemoryStore):
    """Memory whose writer waits in its first use."""

    def __init__(self) -> None:
        super().__init__(CHUNK)
        self.goes_on = threading.Event()

    @contextmanager
    def writer(self, name: str, size: int, observer: Any) -> Iterator[Any]:
        with super().writer(name, size, observer) as writer:
            assert off_thread(self.goes_on.wait, LONG_S)
            yield writer


def test_write_without_space_goes_on_once_another_entry_is_complete() -> None:
    store = WaitingStore()
    cache = TieredCache([Tier("storage", store, 10 * SECTOR)])
    clients, thread = [new_client() for _ in range(2)], IoThread(None, 1, helpers=2)

    def write(number: int) -> None:
        cache.write(f"entry{number}", 8 * SECTOR, clients[number])

    writes = [thread.start(partial(write, number)) for number in range(2)]
    thread.start(store.goes_on.set)  # after both wait
    try:
        assert [error_of(result) for result in writes] == [None, None]
    finally:
        for client in clients:
            client.lane.stopping.set()
        thread.resume_all()
        thread.close()
    assert list(cache.tiers[0].residents) == ["entry1"]


def test_tier_counts_occupied_and_written_bytes(tmp_path: Path) -> None:
    slot = 4 * SECTOR
    slab = Slab(tmp_path, FileIo("buffered"), slot, 20 * slot)
    cache, chunking = TieredCache([Tier("storage", slab, 20 * slot)]), Chunking(CHUNK, slot)
    client = CacheClient(LoneLane(PAYLOAD, chunking, threading.Event()), Recorder(Window()))
    for number in range(40):  # each occupies two slots and fills 1.25
        cache.write(f"entry{number}", 5 * SECTOR, client)
    (storage,) = cache.tiers
    assert len(storage.residents) == 8  # 0.8 of 20 slots
    assert storage.used_bytes == 16 * slot
    assert storage.resident_bytes == 8 * 5 * SECTOR
    storage.check_conservation()
    assert all(cache.read(name, client) for name in list(storage.residents))
    cache.close()
    assert list(tmp_path.iterdir()) == []


def test_close_detects_unaccounted_bytes(
    tmp_path: Path,
) -> None:
    store = EntryFiles(tmp_path, FileIo("buffered"))
    cache, client = TieredCache([Tier("storage", store, 100 * SECTOR)]), new_client()
    cache.write("a", 4 * SECTOR, client)
    (tier,) = cache.tiers
    tier.evicted_bytes += 1
    with pytest.raises(AssertionError, match="16384 bytes written, but 16384 resident and 1 evict"):
        cache.close()
    assert list(tmp_path.iterdir()) == []


def test_all_tiers_are_closed_after_a_failure_of_one(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("cpu", "storage")]
    for folder in folders:
        folder.mkdir()
    slab = Slab(folders[1], FileIo("buffered"), SECTOR, 100 * SECTOR)
    upper = Tier("cpu", EntryFiles(folders[0], FileIo("buffered")), 10 * SECTOR)
    cache, client = TieredCache([upper, Tier("storage", slab, 100 * SECTOR)]), new_client()
    cache.write("a", 4 * SECTOR, client)
    (folders[0] / f"{digest_name('a')}.kv").unlink()
    (folders[0] / f"{digest_name('a')}.kv").mkdir()  # unlink fails on a directory
    with pytest.raises(StorageError, match=r"removing .*\.kv failed: .*\(EISDIR\)"):
        cache.close()
    assert list(folders[1].iterdir()) == []


def tiers_with(policy: PolicyName, *sectors: int) -> list[Tier]:
    names = ("cpu", "storage")[-len(sectors) :]
    return [
        Tier(name, MemoryStore(CHUNK), capacity * SECTOR, policy)
        for name, capacity in zip(names, sectors, strict=True)
    ]


@pytest.mark.parametrize(
    ("policy", "kept"), [("lru", {"a", "d"}), ("fifo", {"c", "d"}), ("lfu", {"a", "d"})]
)
def test_policy_determines_evicted_entries(policy: PolicyName, kept: set[str]) -> None:
    cache, client = TieredCache(tiers_with(policy, 15)), new_client()  # up to 12 sectors are used
    for name in ("a", "b", "c"):
        cache.write(name, 4 * SECTOR, client)
    cache.read("a", client)
    cache.write("d", 8 * SECTOR, client)
    (storage,) = cache.tiers
    assert set(storage.residents) | {"d"} <= kept | {"d"}
    assert "d" in storage.residents
    cache.close()


@pytest.mark.slow
@given(
    st.sampled_from(["lru", "lfu", "fifo"]),
    st.sampled_from(["promotion", "no promotion"]),
    st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(1, 11)), max_size=40),
)
@settings(max_examples=60, deadline=None)
def test_every_policy_conserves_bytes_and_content(
    policy: PolicyName, promotion: str, operations: list[tuple[bool, int, int]]
) -> None:
    cache, client = (
        TieredCache(tiers_with(policy, 14, 60), promotes=promotion == "promotion"),
        new_client(),
    )
    written: set[str] = set()
    for number, (is_read, key, sectors) in enumerate(operations):
        if is_read:
            tier = cache.read(f"entry{key}", client)
            assert tier is None or f"entry{key}" in written
        else:
            name = f"entry{key}" if f"entry{key}" not in written else f"extra{number}"
            cache.write(name, sectors * SECTOR, client)
            written.add(name)
        for tier_ in cache.tiers:
            tier_.check_conservation()
            assert tier_.used_bytes == tier_.resident_bytes <= tier_.capacity_bytes
            assert set(tier_.order) == set(tier_.residents)
        resident = [name for tier_ in cache.tiers for name in tier_.residents]
        assert len(resident) == len(set(resident)), "an entry is in two tiers"
    cache.close()


def test_read_entry_is_promoted_and_displaced_one_moves_down() -> None:
    cache, client = TieredCache(tiers_with("lru", 10, 100), promotes=True), new_client()
    cache.write("a", 6 * SECTOR, client)
    cache.write("b", 6 * SECTOR, client)
    assert cache.read("a", client) == "storage"
    assert (list(cache.tiers[0].residents), list(cache.tiers[1].residents)) == (["a"], ["b"])
    assert cache.read("a", client) == "cpu"
    cache.close()


def test_entry_too_large_for_top_tier_is_not_promoted() -> None:
    cache, client = TieredCache(tiers_with("lru", 10, 100), promotes=True), new_client()
    cache.write("large", 30 * SECTOR, client)
    assert [cache.read("large", client) for _ in range(2)] == ["storage", "storage"]
    cache.close()


@pytest.mark.slow
@pytest.mark.parametrize("io_threads", [1, 3])
def test_concurrent_clients_with_promotion_lose_no_entry(io_threads: int) -> None:
    cache = TieredCache(tiers_with("lfu", 60, 300), promotes=True)
    assert hits_of_concurrent_clients(cache, io_threads, largest=12) > 0
    for tier in cache.tiers:
        tier.check_conservation()
        assert tier.used_bytes == tier.resident_bytes <= tier.capacity_bytes
        assert not any(resident.is_moving for resident in tier.residents.values())
    cache.close()
