"""Many lanes on one IO thread end and leave nothing, whatever goes wrong in their queue."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.storage.buffers import BufferPool
from mlpstorage_bench.storage.kernel_queue import QueueKind
from mlpstorage_bench.storage.lane import buffers_for
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Chunking
from tests.memory_kinds import MEMORY_KINDS, pool_in
from tests.storage.conftest import BLOCK, CHUNK, LAYOUTS, WRITTEN_BACK, file_io, opener_of
from tests.stressed_lanes import CHUNKS_IN_FLIGHT, LANES, StressedLanes
from tests.variants import first_of

MODES: dict[QueueKind, tuple[str, ...]] = {
    "io_uring": ("direct", "buffered", "uncached", WRITTEN_BACK),
    "linux_aio": ("direct", "buffered"),
}
SEEDS = (range(2), *(range(first, first + 10) for first in range(2, 52, 10)))
SLOW_S = (0.0, 0.0, 0.002)
"""Times that calls of open(2) by helpers take longer."""


@pytest.fixture
def pools() -> Iterator[list[BufferPool]]:
    """Buffers in memory of each kind; checks at the end that all have been returned."""
    made = [pool_in(kind, CHUNK, buffers_for(LANES, CHUNKS_IN_FLIGHT)) for kind in MEMORY_KINDS]
    before = [list(pool._idle) for pool in made]
    yield made
    assert [sorted(map(id, pool._idle)) for pool in made] == [
        sorted(map(id, buffers)) for buffers in before
    ]


@pytest.fixture
def _slow_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have helpers open files slowly."""
    rng, open_at_once = random.Random(1), os.open

    def slow(*arguments: Any, **options: Any) -> int:
        if "helper" in threading.current_thread().name:
            time.sleep(rng.choice(SLOW_S))
        return open_at_once(*arguments, **options)

    monkeypatch.setattr(os, "open", slow)


def number_of_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """Check at the end that no thread, descriptor or file is left."""
    threads, descriptors = threading.active_count(), number_of_descriptors()
    yield
    assert threading.active_count() == threads
    assert number_of_descriptors() == descriptors
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.slow
@pytest.mark.usefixtures("_slow_opens")
@pytest.mark.parametrize("seeds", first_of(*SEEDS), ids=lambda seeds: f"seeds from {seeds[0]}")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("kind", "mode"), [(kind, mode) for kind, modes in MODES.items() for mode in modes]
)
def test_each_operation_ends_as_what_was_injected_says(
    kind: QueueKind,
    mode: Any,
    layout: str,
    tmp_path: Path,
    payload: Payload,
    pools: list[BufferPool],
    seeds: range,
) -> None:
    open_queue = opener_of(kind)
    assert open_queue is not None
    is_queued = kind == "io_uring" or mode == "direct"
    outcomes: Counter[str] = Counter()
    for seed in seeds:
        folders = [tmp_path / f"{seed} {name}" for name in ("first", "second")]
        for folder in folders:
            folder.mkdir()
        stores = [LAYOUTS[layout](folder, file_io(folder, mode)) for folder in folders]
        stress = StressedLanes(
            *(random.Random(seed), open_queue, pools[seed % 2], payload),
            *(Chunking(CHUNK, BLOCK), stores),
            is_aligned=mode == "direct",
            counts_chunks=is_queued and mode in ("direct", WRITTEN_BACK),
        )
        stress.run()
        transfers, queue = stress.thread.transfers, stress.queue
        assert (transfers.in_flight, transfers._prepared) == (0, [])
        assert sorted(transfers._free) == list(range(transfers._slots))
        assert transfers._free_calls == transfers._most_calls
        assert queue is not None
        assert queue.in_kernel == set()
        outcomes["parts"] += queue.parts
        stress.read_back()
        for store in stores:
            store.close()
        outcomes += stress.outcomes
    assert (outcomes["parts"] > 0) == is_queued
    assert outcomes["NoneType"] > 0
    assert outcomes["CutOffError"] > 0
    assert (outcomes["StorageError"] > 0) == is_queued
