"""Cost of generating and checking content, as a loss of bandwidth: pairs with and without.

Without means that a buffer is written as it is, and read without a check. Neither is part of a
chunk's latency; the cost is time in which a lane requests nothing from the storage.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.flat_load import RAMP_S, SHAPES, WINDOW_S, FlatLoad, Load, alternate
from mlpstorage_bench.storage.buffers import AlignedBuffer
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.storage.payload import Content, Payload
from mlpstorage_bench.units import KIB

PAIRS = 11
"""More pairs than in the comparison with fio: the effect is a few per cent."""
BLOCKS = {"64KiB": 64 * KIB, "1MiB": 1024 * KIB}


class UnchangedBuffers(Payload):
    """Payload that leaves every buffer unchanged."""

    def content(self, identity: int) -> Content:
        """Return content that leaves the buffer unchanged."""
        return _UnchangedContent(self, identity)


class _UnchangedContent(Content):
    def fill(self, buffer: AlignedBuffer, size: int, offset: int) -> None:
        """Do nothing."""


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("what", ["checking reads", "making writes"])
def test_content_cost(
    study_dir: Path, io_mode: IoMode, benchmark: Any, what: str, block: str, shape: str
) -> None:
    load = Load(BLOCKS[block], *SHAPES[shape], 1.0 if what == "checking reads" else 0.0)
    with FlatLoad(study_dir, load, io_mode) as storage:
        with_it, without = alternate(
            benchmark,
            lambda: storage.run(RAMP_S, WINDOW_S),
            lambda: storage.run(RAMP_S, WINDOW_S, verify_rate=0.0, payload=UnchangedBuffers(1)),
            pairs=PAIRS,
        )
    pairs = list(zip(with_it, without, strict=True))
    benchmark.extra_info.update(
        what=what,
        block=block,
        shape=shape,
        io_mode=io_mode,
        pairs=len(pairs),
        bandwidth_ratio=statistics.median(a.gib_s / b.gib_s for a, b in pairs),
        p95_ratio=statistics.median(a.p95_ms / b.p95_ms for a, b in pairs),
        cpu_s_per_gib=statistics.median(a.cpu_s_per_gib for a in with_it),
        cpu_s_per_gib_without=statistics.median(b.cpu_s_per_gib for b in without),
        gib_s=statistics.median(a.gib_s for a in with_it),
    )
