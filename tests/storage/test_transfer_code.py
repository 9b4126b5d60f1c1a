"""All calls that move or sync data are made by code that is known to be inside a span."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from mlpstorage_bench.storage import files
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.linux_aio import LinuxAio
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Chunking
from mlpstorage_bench.storage.transfer_code import TRANSFER_CODE
from tests.lanes import LoneLane
from tests.storage.conftest import BLOCK, CHUNK, LAYOUTS, WRITTEN_BACK, file_io

SIZE = 3 * BLOCK


class Callers:
    """The code that made calls, by the calls' names."""

    def __init__(self) -> None:
        self.of: dict[str, set[CodeType]] = {}

    def noting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.of.setdefault(name, set()).add(sys._getframe(1).f_code)
            return function(*arguments)

        return call

    def queue(self, depth: int) -> LinuxAio:
        queue = LinuxAio(depth)
        queue._context._call = self.noting("queue", queue._context._call)
        return queue


@pytest.fixture
def callers(monkeypatch: pytest.MonkeyPatch) -> Callers:
    callers = Callers()
    for name in ("pwritev", "preadv", "fdatasync"):
        monkeypatch.setattr(os, name, callers.noting(name, getattr(os, name)))
    libc = files._libc()
    noted = callers.noting("sync_file_range", libc.sync_file_range)
    monkeypatch.setattr(libc, "sync_file_range", noted)
    return callers


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("mode", "has_queue", "calls"),
    [
        ("direct", False, {"pwritev", "preadv", "fdatasync"}),
        ("direct", True, {"queue", "fdatasync"}),
        ("buffered", False, {"pwritev", "preadv", "fdatasync"}),
        (WRITTEN_BACK, False, {"pwritev", "preadv", "sync_file_range", "fdatasync"}),
    ],
)
def test_calls_that_wait_for_storage_are_made_by_known_code(
    callers: Callers,
    observer_class: Any,
    tmp_path: Path,
    layout: str,
    mode: Any,
    calls: set[str],
    *,
    has_queue: bool,
) -> None:
    of_mode = file_io(tmp_path, mode)
    io = FileIo(of_mode.mode, "fdatasync", writes_back_chunks=of_mode.writes_back_chunks)
    callers.of.clear()  # without those of the probe for direct I/O
    store = LAYOUTS[layout](tmp_path, io)
    with LoneLane(
        Payload(seed=1, origin="test"),
        Chunking(CHUNK, BLOCK),
        threading.Event(),
        chunks_in_flight=2 if has_queue else 1,
        open_queue=callers.queue if has_queue else None,
    ) as lane:
        entry = lane.write(store, "entry", SIZE, observer_class())
        lane.read(store, entry, observer_class())
        made = {
            name: set(code) for name, code in callers.of.items()
        }  # without the end of the queue
    store.close()
    assert made.keys() == calls
    assert set().union(*made.values()) <= TRANSFER_CODE
