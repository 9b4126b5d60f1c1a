"""The same checked job for the storage layer and for fio: all that is read and written is checked.

Ours makes unique content with a digest for every write, and compares the digest of every read
(the default). fio has `--verify=xxhash`: it writes new blocks with checksums (`--refill_buffers`),
and checks each block that it reads. What fio reads it has to have written: each side reads a file
of its own. fio reads it once, and its window ends there: it does not check a second pass.
"""

from __future__ import annotations

import shutil
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
from benchmarks.harness.fio import CHECKED, Fio
from benchmarks.harness.flat_load import SHAPES, FlatLoad, Load
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.units import GIB, KIB

BLOCKS = {"16KiB": 16 * KIB, "64KiB": 64 * KIB, "1MiB": 1024 * KIB}
BLOCKS_OF_FILE = 16384
"""Blocks of a file of less than 1 GiB."""

pytestmark = pytest.mark.skipif(
    shutil.which("fio") is None, reason="fio is not installed (Debian package fio)"
)


@pytest.mark.parametrize("shape", ["1 x 1", "1 x 16", "16 x 1"])
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("pattern", CHECKED)
def test_checked_parity(
    study_dir: Path,
    io_mode: IoMode,
    conditions: Conditions,
    benchmark: Any,
    pattern: str,
    block: str,
    shape: str,
) -> None:
    read_share = 1.0 if pattern == "read" else 0.0
    load = Load(
        BLOCKS[block],
        *SHAPES[shape],
        read_share,
        file_bytes=min(GIB, BLOCKS_OF_FILE * BLOCKS[block]),
        io_threads=conditions.io_threads,
    )
    with FlatLoad(study_dir, load, io_mode) as flat:
        measures: Measures = {"own": lambda: flat.run(RAMP_S, WINDOW_S, verify_rate=1.0)}
        if pattern == "read":
            file, ramp_s = study_dir / "fio", 0.0
            Fio(file, load, io_mode).write_file()
        else:
            file, ramp_s = flat.path, RAMP_S
        options = CHECKED[pattern]
        measures |= fio_runs(file, load, io_mode, conditions.memories, options, ramp_s=ramp_s)
        samples = in_turn(benchmark, measures, conditions.pairs)
    benchmark.extra_info.update(
        pattern=pattern,
        block=block,
        shape=shape,
        io_mode=io_mode,
        **conditions.figures(),
        **figures(samples),
    )
