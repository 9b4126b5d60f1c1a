"""Entries that many share: written once, held while they are read, anybody's after a failure."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

import pytest

from mlpstorage_bench.kvcache.cache.client import CacheClient
from mlpstorage_bench.kvcache.cache.shared import SharedEntries
from mlpstorage_bench.kvcache.cache.tier import Tier
from mlpstorage_bench.kvcache.cache.tiered import TieredCache
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.storage.lane import CutOffError, Lane
from mlpstorage_bench.storage.memory import MemoryStore
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Chunking

SIZE = 8192
GOING = threading.Event()


def worker() -> CacheClient:
    lane = Lane(Payload(1), Chunking(SIZE), threading.Event())
    return CacheClient(lane, Recorder(Window()))


def cache(entries: int = 1000) -> TieredCache:
    return TieredCache([Tier("storage", MemoryStore(SIZE), entries * SIZE)])


def obtain(
    own: TieredCache, shared: SharedEntries, keys: list[str], by: CacheClient
) -> Counter[str]:
    """What a worker does with a prompt: read what is there, write what is missing."""
    done: Counter[str] = Counter()
    while keys:
        with shared.find(keys, by.lane.stopping) as found:
            for held in found.held:
                own.read_held(held, by)
            for key in found.claimed:
                own.write(key, SIZE, by)
                shared.written(key)
        done["read"] += len(found.held)
        done["written"] += len(found.claimed)
        keys = [] if found.claimed else keys[len(found.held) :]
    return done


def test_the_longest_prefix_is_read_and_the_rest_is_written() -> None:
    own = cache()
    shared, by = SharedEntries(own.index), worker()
    assert obtain(own, shared, ["a", "b", "c"], by) == {"written": 3, "read": 0}
    assert obtain(own, shared, ["a", "b", "x", "y"], by) == {"read": 2, "written": 2}
    assert obtain(own, shared, ["a", "b", "x", "y"], by) == {"read": 4, "written": 0}
    own.close()


def test_many_that_want_the_same_at_once_write_it_once() -> None:
    own = cache()
    shared = SharedEntries(own.index)
    dice = random.Random(5)
    prompts = [
        [f"{dice.randrange(4)}", *(f"{dice.randrange(3)}" for _ in range(3))] for _ in range(200)
    ]
    chains = [["/".join(p[: n + 1]) for n in range(len(p))] for p in prompts]
    totals: list[Counter[str]] = []

    def serve(part: list[list[str]]) -> None:
        by = worker()
        totals.extend(obtain(own, shared, chain, by) for chain in part)

    threads = [threading.Thread(target=serve, args=(chains[n::8],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    distinct = {key for chain in chains for key in chain}
    seen = sum(totals, Counter[str]())
    assert seen["written"] == len(distinct) == len(own.tiers[0].residents)
    assert seen["read"] == sum(map(len, chains)) - len(distinct), "as predicted, to the block"
    own.close()


def test_what_is_held_is_not_evicted() -> None:
    own = cache(entries=10)
    shared, by = SharedEntries(own.index), worker()
    obtain(own, shared, ["a", "b"], by)
    with shared.find(["a", "b"], GOING) as found:
        for number in range(30):
            own.write(f"other{number}", SIZE, by)
        assert "a" in own.index
        for held in found.held:
            own.read_held(held, by)
    for number in range(30, 60):
        own.write(f"other{number}", SIZE, by)
    assert "a" not in own.index
    own.close()


def test_what_was_evicted_from_the_midst_is_written_again_and_the_rest_is_left() -> None:
    own = cache(entries=10)
    shared, by = SharedEntries(own.index), worker()
    obtain(own, shared, ["a", "b", "c"], by)
    held = own.index.hold("a")
    kept = own.index.hold("c")
    assert held
    assert kept
    for number in range(30):
        own.write(f"other{number}", SIZE, by)
    own.index.release(held)
    own.index.release(kept)
    assert ["a" in own.index, "b" in own.index, "c" in own.index] == [True, False, True]
    assert obtain(own, shared, ["a", "b", "c"], by) == {"read": 1, "written": 1}
    own.close()


def test_who_fails_to_write_leaves_it_to_the_next() -> None:
    own = cache()
    shared, by = SharedEntries(own.index), worker()

    def fail() -> None:
        with shared.find(["a", "b"], GOING) as found:
            assert list(found.claimed) == ["a", "b"]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert obtain(own, shared, ["a", "b"], by) == {"written": 2, "read": 0}
    own.close()


def test_who_waits_for_another_s_block_lets_go_when_the_run_stops() -> None:
    own = cache()
    shared = SharedEntries(own.index)
    stopping = threading.Event()
    raised: list[Any] = []

    def wait() -> None:
        try:
            with shared.find(["a"], stopping):
                raise AssertionError
        except CutOffError as error:
            raised.append(error)

    with shared.find(["a"], GOING):
        waiting = threading.Thread(target=wait)
        waiting.start()
        stopping.set()
        waiting.join(20)
    assert len(raised) == 1
    own.close()


def test_an_entry_that_is_written_again_replaces_the_old_and_has_other_content() -> None:
    own = cache()
    by = worker()
    own.write("a", SIZE, by)
    held = own.index.hold("a")
    assert held
    first = held.resident.entry
    own.index.release(held)
    own.write("a", 2 * SIZE, by)
    held = own.index.hold("a")
    assert held
    assert (held.resident.entry.size, held.resident.entry.identity != first.identity) == (
        2 * SIZE,
        True,
    )
    own.index.release(held)
    assert own.read("a", by) == "storage"
    assert own.tiers[0].used_bytes == 2 * SIZE
    own.close()


def test_rewriting_waits_for_those_who_read() -> None:
    own = cache()
    by = worker()
    own.write("a", SIZE, by)
    held = own.index.hold("a")
    assert held
    writing = threading.Thread(target=lambda: own.write("a", SIZE, worker()))
    writing.start()
    writing.join(0.2)
    assert writing.is_alive()
    own.read_held(held, by)
    own.index.release(held)
    writing.join(20)
    assert own.read("a", by) == "storage"
    own.close()
