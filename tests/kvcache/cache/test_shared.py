"""Shared entries: written once, pinned while read, claimable again after a failure."""

from __future__ import annotations

import random
import threading
from collections import Counter
from functools import partial
from typing import Any

import pytest

from mlpstorage_bench.kvcache.cache.client import CacheClient
from mlpstorage_bench.kvcache.cache.shared import SharedEntries
from mlpstorage_bench.kvcache.cache.tier import Tier
from mlpstorage_bench.kvcache.cache.tiered import TieredCache
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.storage.io_thread import IoThread
from mlpstorage_bench.storage.lane_waits import CutOffError
from mlpstorage_bench.storage.memory import MemoryStore
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Chunking
from tests.lanes import LoneLane, run_lanes

SIZE = 8192
NOT_STOPPING = threading.Event()


def new_client() -> CacheClient:
    lane = LoneLane(Payload(1), Chunking(SIZE), threading.Event())
    return CacheClient(lane, Recorder(Window()))


def new_cache(entries: int = 1000) -> TieredCache:
    return TieredCache([Tier("storage", MemoryStore(SIZE), entries * SIZE)])


def read_or_write(
    cache: TieredCache, shared: SharedEntries, keys: list[str], client: CacheClient
) -> Counter[str]:
    """Read the blocks of a prompt that are in the cache, and write the others."""
    done: Counter[str] = Counter()
    while keys:
        with shared.match_prefix(keys, client.lane.stopping) as match:
            for pinned in match.pinned:
                cache.read_pinned(pinned, client)
            for key in match.claimed:
                cache.write(key, SIZE, client)
                shared.mark_written(key)
        done["read"] += len(match.pinned)
        done["written"] += len(match.claimed)
        keys = [] if match.claimed else keys[len(match.pinned) :]
    return done


def test_longest_prefix_is_read_and_rest_is_written() -> None:
    cache = new_cache()
    shared, client = SharedEntries(cache.index), new_client()
    assert read_or_write(cache, shared, ["a", "b", "c"], client) == {"written": 3, "read": 0}
    assert read_or_write(cache, shared, ["a", "b", "x", "y"], client) == {"read": 2, "written": 2}
    assert read_or_write(cache, shared, ["a", "b", "x", "y"], client) == {"read": 4, "written": 0}
    cache.close()


@pytest.mark.slow
def test_concurrent_requests_write_a_shared_block_once() -> None:
    cache = new_cache()
    shared = SharedEntries(cache.index)
    rng = random.Random(5)
    prompts = [
        [f"{rng.randrange(4)}", *(f"{rng.randrange(3)}" for _ in range(3))] for _ in range(200)
    ]
    chains = [["/".join(p[: n + 1]) for n in range(len(p))] for p in prompts]
    totals: list[Counter[str]] = []

    def serve(part: list[list[str]]) -> None:
        client = new_client()
        totals.extend(read_or_write(cache, shared, chain, client) for chain in part)

    run_lanes([partial(serve, chains[n::8]) for n in range(8)])
    distinct = {key for chain in chains for key in chain}
    seen = sum(totals, Counter[str]())
    assert seen["written"] == len(distinct) == len(cache.tiers[0].residents)
    assert seen["read"] == sum(map(len, chains)) - len(distinct)
    cache.close()


def test_pinned_entry_is_not_evicted() -> None:
    cache = new_cache(entries=10)
    shared, client = SharedEntries(cache.index), new_client()
    read_or_write(cache, shared, ["a", "b"], client)
    with shared.match_prefix(["a", "b"], NOT_STOPPING) as match:
        for number in range(30):
            cache.write(f"other{number}", SIZE, client)
        assert "a" in cache.index
        for pinned in match.pinned:
            cache.read_pinned(pinned, client)
    for number in range(30, 60):
        cache.write(f"other{number}", SIZE, client)
    assert "a" not in cache.index
    cache.close()


def test_block_evicted_inside_a_prefix_is_written_again() -> None:
    cache = new_cache(entries=10)
    shared, client = SharedEntries(cache.index), new_client()
    read_or_write(cache, shared, ["a", "b", "c"], client)
    first = cache.index.pin("a")
    last = cache.index.pin("c")
    assert first
    assert last
    for number in range(30):
        cache.write(f"other{number}", SIZE, client)
    cache.index.unpin(first)
    cache.index.unpin(last)
    assert ["a" in cache.index, "b" in cache.index, "c" in cache.index] == [True, False, True]
    assert read_or_write(cache, shared, ["a", "b", "c"], client) == {"read": 1, "written": 1}
    cache.close()


def test_claims_end_after_a_failed_write() -> None:
    cache = new_cache()
    shared, client = SharedEntries(cache.index), new_client()

    def fail() -> None:
        with shared.match_prefix(["a", "b"], NOT_STOPPING) as match:
            assert list(match.claimed) == ["a", "b"]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert read_or_write(cache, shared, ["a", "b"], client) == {"written": 2, "read": 0}
    cache.close()


def test_waiting_for_a_claimed_block_ends_when_the_run_stops() -> None:
    cache = new_cache()
    shared = SharedEntries(cache.index)
    stopping = threading.Event()
    raised: list[Any] = []

    def wait() -> None:
        try:
            with shared.match_prefix(["a"], stopping):
                raise AssertionError
        except CutOffError as error:
            raised.append(error)

    thread = IoThread(None, 1)
    with shared.match_prefix(["a"], NOT_STOPPING):
        waiting = thread.start(wait)
        stopping.set()
        thread.resume_all()
        waiting.result(20)
    thread.close()
    assert len(raised) == 1
    cache.close()


def test_rewritten_entry_replaces_the_old_with_other_content() -> None:
    cache = new_cache()
    client = new_client()
    cache.write("a", SIZE, client)
    pinned = cache.index.pin("a")
    assert pinned
    first = pinned.resident.entry
    cache.index.unpin(pinned)
    cache.write("a", 2 * SIZE, client)
    pinned = cache.index.pin("a")
    assert pinned
    assert (pinned.resident.entry.size, pinned.resident.entry.identity != first.identity) == (
        2 * SIZE,
        True,
    )
    cache.index.unpin(pinned)
    assert cache.read("a", client) == "storage"
    assert cache.tiers[0].used_bytes == 2 * SIZE
    cache.close()


def test_rewriting_waits_for_readers() -> None:
    cache = new_cache()
    client = new_client()
    cache.write("a", SIZE, client)
    pinned = cache.index.pin("a")
    assert pinned
    order: list[str] = []

    def write() -> None:
        cache.write("a", SIZE, new_client())
        order.append("written")

    def read() -> None:
        cache.read_pinned(pinned, client)
        order.append("read")
        cache.index.unpin(pinned)

    run_lanes([write, read])
    assert order == ["read", "written"]
    assert cache.read("a", client) == "storage"
    cache.close()
