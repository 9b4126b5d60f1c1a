"""The storage layer compared with fio: same directory, sizes, number in flight and mix, in pairs.

    pytest benchmarks/harness/test_storage_parity.py --mlps-cache-dir=DIR --benchmark-json=FILE
    python -m benchmarks.harness.table FILE

Runs of the storage layer and of fio alternate, so all meet the same conditions of the storage; a
case states the medians of its pairs' ratios, with fio's default memory and with fio in huge pages
(`huge_`). The storage layer makes unique content for every write, and checks no read, as fio does
not. Beside these runs are others of the storage layer:

- `hot_`, with one chunk in flight: the buffer used last is used next, as fio's only buffer is.
- `bare_`, of writes and mixes: buffers are written as they are, so that content costs nothing.
- `verified_`: every read is checked and every write has a digest, which is the default.

The number in flight is the same for one lane with many chunks and for many lanes with one chunk;
fio is one process. A lane reads or writes one entry at a time: in the mix, each block is an entry,
and the number of lanes is the number in flight, so that reads and writes overlap as in fio.
"""

from __future__ import annotations

import itertools
import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.beside_fio import (
    RAMP_S,
    WINDOW_S,
    Conditions,
    Measures,
    figures,
    fio_runs,
    in_turn,
)
from benchmarks.harness.flat_load import SHAPES, FlatLoad, Load, Sample
from benchmarks.harness.test_content_cost import UnchangedBuffers
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.units import GIB, KIB, MIB

BLOCKS = {"16KiB": 16 * KIB, "64KiB": 64 * KIB, "1MiB": 1024 * KIB, "4MiB": 4096 * KIB}
VERIFIED = ("64KiB", "1MiB")
"""Blocks that are also checked: the others would take a quarter of the study's time."""
READ_SHARES = {"read": 1.0, "write": 0.0, "mix": 0.7}
SMALL_BLOCKS_FILE_BYTES = GIB // 4
"""File of blocks below 1 MiB: in the mix, each of them is an entry that is written anew."""
SHAPES_OF_LARGEST = ("1 x 1", "1 x 16", "16 x 1")
CASES = [
    (pattern, block, shape)
    for pattern, block, shape in itertools.product(READ_SHARES, BLOCKS, SHAPES)
    if (pattern != "mix" or SHAPES[shape][1] == 1)
    and (block != "4MiB" or shape in SHAPES_OF_LARGEST)
]
SHARE_TOLERANCE = 0.03
"""Allowed deviation of the share of read bytes, over all windows of the storage layer."""

pytestmark = pytest.mark.skipif(
    shutil.which("fio") is None, reason="fio is not installed (Debian package fio)"
)


@pytest.mark.parametrize(("pattern", "block", "shape"), CASES)
def test_parity(
    study_dir: Path,
    io_mode: IoMode,
    conditions: Conditions,
    benchmark: Any,
    pattern: str,
    block: str,
    shape: str,
) -> None:
    load = Load(
        BLOCKS[block],
        *SHAPES[shape],
        READ_SHARES[pattern],
        file_bytes=GIB if BLOCKS[block] >= MIB else SMALL_BLOCKS_FILE_BYTES,
        io_threads=conditions.io_threads,
    )
    with FlatLoad(study_dir, load, io_mode) as flat:
        measures = fio_runs(flat.path, load, io_mode, conditions.memories)
        measures |= own_runs(flat, load, is_verified=block in VERIFIED)
        samples = in_turn(benchmark, measures, conditions.pairs)
    own = [sample for name, taken in samples.items() if name.endswith("own") for sample in taken]
    read_share = statistics.fmean(sample.read_share for sample in own)
    assert read_share == pytest.approx(load.read_share, abs=SHARE_TOLERANCE)
    benchmark.extra_info.update(
        pattern=pattern,
        block=block,
        shape=shape,
        io_mode=io_mode,
        **conditions.figures(),
        **figures(samples),
    )


def own_runs(flat: FlatLoad, load: Load, *, is_verified: bool = True) -> Measures:
    """Return the runs of the storage layer that a load is measured by."""

    def own(payload: Payload | None = None) -> Sample:
        return flat.run(RAMP_S, WINDOW_S, verify_rate=0.0, payload=payload)

    def hot() -> Sample:
        with flat.buffers.used_last_first():
            return own()

    def verified() -> Sample:
        if 0 < load.read_share < 1:  # fio wrote others, and unchecked runs make no digests
            flat.drop_entries()
        return flat.run(RAMP_S, WINDOW_S, verify_rate=1.0)

    measures: Measures = {"own": own}
    if load.in_flight == 1:
        measures["hot_own"] = hot
    if load.read_share < 1:
        measures["bare_own"] = lambda: own(UnchangedBuffers(1))
    if is_verified:
        measures["verified_own"] = verified
    return measures
