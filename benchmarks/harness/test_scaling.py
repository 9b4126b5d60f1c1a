"""Bandwidth, CPU time and ceiling of the harness by ranks, lanes and chunks in flight.

    pytest benchmarks/harness/test_scaling.py --mlps-cache-dir=DIR --benchmark-json=FILE
    python -m benchmarks.harness.table FILE
    python -m benchmarks.harness.scaling_page FILE --page=scaling.html

Each case is one number of ranks (processes under mpirun where there are several), each with the
same lanes and chunks in flight, over a store that moves nothing (null), over tmpfs and over the
disk under --mlps-cache-dir. The load is complete: users that do not think, requests, cache,
content, digests and checks of every read, in the mix of reads and writes that MLPerf's workloads
have. One IO thread serves the lanes of a rank. `--study-quick` takes one sample of a few cases.

The last table is what a larger machine would reach, calculated from these costs.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.launching import launcher
from benchmarks.harness.scaled_ranks import ScaledLoad

TMPFS = Path("/dev/shm")  # noqa: S108 - the tmpfs that every Linux has
STORES = ("null", "tmpfs", "disk")
SAMPLES = 3
SHAPES_OF_ONE_RANK = {
    1024: (
        *((lanes, 1) for lanes in (1, 2, 4, 8, 16, 32, 64)),
        *((1, 4), (1, 16), (4, 16)),
    ),
    64: ((1, 1), (4, 1), (16, 1), (64, 1)),
}
"""Lanes, and chunks in flight of each, by the size of a chunk in KiB."""
SHAPES_OF_RANKS = ((1, 1), (16, 1))
RANKS = (2, 4, 8)
CASES = [
    *((1, kib, shape) for kib, shapes in SHAPES_OF_ONE_RANK.items() for shape in shapes),
    *itertools.product(RANKS, SHAPES_OF_ONE_RANK, SHAPES_OF_RANKS),
]
"""Ranks, size of a chunk in KiB, lanes and chunks in flight."""
QUICK = ((1, 1024, (1, 1)), (1, 1024, (16, 1)), (1, 64, (16, 1)), (2, 1024, (16, 1)))


def _id(value: object) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


@pytest.fixture
def store_dir(request: pytest.FixtureRequest, store: str) -> Iterator[Path]:
    """A new directory on the store's filesystem; null needs one, and puts nothing there."""
    if store == "disk":
        yield request.getfixturevalue("study_dir")
        return
    if store == "tmpfs" and not TMPFS.is_dir():
        pytest.skip(f"{TMPFS} does not exist")
    parent = TMPFS if store == "tmpfs" else None
    with tempfile.TemporaryDirectory(prefix="study-", dir=parent) as directory:
        yield Path(directory)


@pytest.mark.parametrize(("ranks", "chunk_kib", "shape"), CASES, ids=_id)
@pytest.mark.parametrize("store", STORES)
def test_scaling(
    request: pytest.FixtureRequest,
    benchmark: Any,
    store_dir: Path,
    store: str,
    ranks: int,
    chunk_kib: int,
    shape: tuple[int, int],
) -> None:
    is_quick = request.config.option.study_quick
    if is_quick and (ranks, chunk_kib, shape) not in QUICK:
        pytest.skip("--study-quick leaves it out")
    load = ScaledLoad(*shape, chunk_kib, samples=1 if is_quick else SAMPLES)
    command = [*launcher(ranks), sys.executable, "-m", "benchmarks.harness.scaled_ranks"]
    command += [store, str(store_dir), json.dumps(load._asdict())]

    def run() -> dict[str, float]:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
        assert done.returncode == 0, done.stderr
        result: dict[str, float] = json.loads(done.stdout)
        return result

    seen = benchmark.pedantic(run, rounds=1, iterations=1)
    lanes, chunks = shape
    benchmark.extra_info.update(
        store=store,
        chunk_kib=chunk_kib,
        ranks=ranks,
        lanes=lanes,
        shape=f"{lanes} x {chunks}",
        in_flight=lanes * chunks,
        cores=len(os.sched_getaffinity(0)),
        samples=load.samples,
        busy_cores=seen["gib_s"] * seen["cpu_s_per_gib"],
        **seen,
    )
