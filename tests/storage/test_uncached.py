"""Uncached mode: files in the page cache whose transfers leave nothing there."""

from __future__ import annotations

import mmap
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.storage.files import DONTCACHE, FileIo
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Chunking
from tests.fake_queue import FakeQueue
from tests.lanes import LoneLane
from tests.storage.test_page_cache import resident_pages

CHUNK = 64 * 1024
BLOCK = 160 * 1024
CHUNKING = Chunking(CHUNK, BLOCK)
SIZE = 8 * BLOCK
COUNT = CHUNKING.count(SIZE)


@pytest.mark.parametrize(("mode", "share"), [("uncached", 1), ("buffered", 0)])
def test_queue_is_asked_for_uncached_transfers(
    tmp_path: Path, store_of: Any, payload: Payload, observer_class: Any, mode: str, share: int
) -> None:
    fake = FakeQueue(4, max_bytes=CHUNK // 2)
    store = store_of(f"block, {mode}", tmp_path)
    stopping = threading.Event()
    with LoneLane(
        payload, CHUNKING, stopping, chunks_in_flight=4, open_queue=lambda _: fake
    ) as lane:
        lane.read(store, lane.write(store, "entry", SIZE, observer_class()), observer_class())
    assert fake.submitted > 2 * COUNT, "the rests of short transfers"
    assert fake.uncached == share * fake.submitted
    store.close()


@pytest.mark.parametrize(("mode", "flags"), [("uncached", DONTCACHE), ("buffered", 0)])
def test_plain_calls_are_asked_for_uncached_transfers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store_of: Any, mode: str, flags: int
) -> None:
    store_of(f"entry, {mode}", tmp_path)  # skips where there is none
    given = []

    def half(name: str, call: Any) -> Any:
        def one(descriptor: int, buffers: Any, offset: int, flags: int) -> int:
            given.append((name, flags))
            moved: int = call(descriptor, [buffers[0][: CHUNK // 2]], offset, flags)
            return moved

        return one

    for name in ("pwritev", "preadv"):
        monkeypatch.setattr(os, name, half(name, getattr(os, name)))
    file = FileIo(mode).create(tmp_path / "file", CHUNK)  # type: ignore[arg-type]  # a literal
    there, back = mmap.mmap(-1, CHUNK), mmap.mmap(-1, CHUNK)
    there[:] = os.urandom(CHUNK)
    file.write(memoryview(there), 0)
    file.read(memoryview(back), 0)
    file.close()
    assert back[:] == there[:]
    assert given == [("pwritev", flags)] * 2 + [("preadv", flags)] * 2


@pytest.mark.parametrize("plain", [True, False], ids=["plain calls", "queue"])
@pytest.mark.parametrize("mode", ["uncached", "buffered"])
def test_read_leaves_no_page_in_the_cache(
    tmp_path: Path, store_of: Any, payload: Payload, observer_class: Any, mode: str, *, plain: bool
) -> None:
    store = store_of(f"slab, {mode}", tmp_path)
    options: dict[str, Any] = {"open_queue": None} if plain else {"chunks_in_flight": 4}
    with LoneLane(payload, CHUNKING, threading.Event(), **options) as lane:
        entry = lane.write(store, "entry", SIZE, observer_class())
        if resident_pages(tmp_path):
            pytest.skip("this filesystem keeps its pages, as memory does")
        observer = observer_class()
        lane.read(store, entry, observer)
        assert observer.checked == COUNT
        if mode == "buffered":
            assert resident_pages(tmp_path) >= SIZE // mmap.PAGESIZE
        elif lane.max_in_flight == 1 or lane.thread.transfers.moves:
            assert resident_pages(tmp_path) == 0
    store.close()
