"""The storage layer compared with fio on tmpfs, where nothing but the processor is the limit.

A transfer is a copy, and leaves no wait in which content could be made. Writes are therefore also
compared with the bound that content sets: 1 / (1 / fio's rate + seconds of content per GiB), where
the latter is measured in the same alternation, alone and on one thread (`content`).
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.beside_fio import RAMP_S, Conditions, figures, fio_runs, in_turn
from benchmarks.harness.content import bounded_gib_s, make_content
from benchmarks.harness.fio import MEMORIES
from benchmarks.harness.flat_load import SHAPES, FlatLoad, Load, Sample
from benchmarks.harness.test_storage_parity import own_runs
from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.units import MIB

TMPFS = Path("/dev/shm")  # noqa: S108 - the tmpfs that every Linux has

pytestmark = [
    pytest.mark.skipif(
        shutil.which("fio") is None, reason="fio is not installed (Debian package fio)"
    ),
    pytest.mark.skipif(not TMPFS.is_dir(), reason=f"{TMPFS} does not exist"),
]


@pytest.fixture
def tmpfs_dir() -> Iterator[Path]:
    """A new directory on tmpfs, removed after the test."""
    with tempfile.TemporaryDirectory(prefix="study-", dir=TMPFS) as directory:
        yield Path(directory)


@pytest.mark.parametrize("shape", ["1 x 1", "1 x 16", "16 x 1"])
@pytest.mark.parametrize("pattern", ["read", "write"])
def test_tmpfs_parity(
    tmpfs_dir: Path, conditions: Conditions, benchmark: Any, pattern: str, shape: str
) -> None:
    io_mode: IoMode = "direct" if probe_direct_io(tmpfs_dir).is_available else "buffered"
    read_share = 1.0 if pattern == "read" else 0.0
    load = Load(MIB, *SHAPES[shape], read_share, io_threads=conditions.io_threads)
    with FlatLoad(tmpfs_dir, load, io_mode) as flat:
        measures = fio_runs(flat.path, load, io_mode, conditions.memories)
        measures |= own_runs(flat, load, is_verified=False)
        if pattern == "write":
            measures["content"] = lambda: make_content(load, flat.buffers, RAMP_S)
        samples = in_turn(benchmark, measures, conditions.pairs)
    benchmark.extra_info.update(
        pattern=pattern,
        block="1MiB",
        shape=shape,
        io_mode=io_mode,
        **conditions.figures(),
        **figures(samples),
        **beside_bound(samples),
    )


def beside_bound(samples: Mapping[str, list[Sample]]) -> dict[str, float | None]:
    """Return the seconds of content per GiB, and the medians of ours / the bound of the pair."""
    content = samples.get("content", [])
    seconds = statistics.median(one.cpu_s_per_gib for one in content) if content else None
    found = {"content_s_per_gib": seconds}
    for prefix in MEMORIES:
        triples = zip(samples["own"], samples.get(f"{prefix}fio", []), content, strict=False)
        shares = [
            own.gib_s / bounded_gib_s(fio.gib_s, made.cpu_s_per_gib) for own, fio, made in triples
        ]
        found[f"{prefix}bound_ratio"] = statistics.median(shares) if shares else None
    return found
