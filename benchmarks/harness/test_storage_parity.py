"""The storage layer compared with fio: same directory, sizes, number in flight and mix, in pairs.

    pytest benchmarks/harness/test_storage_parity.py --mlps-cache-dir=DIR --benchmark-json=FILE
    python -m benchmarks.harness.table FILE

The storage layer and fio alternate, so both meet the same conditions of the storage; a case states
the median of its pairs' ratios. The storage layer generates unique content for every write. In the
pairs, neither it nor fio checks reads; `verified_*` has every read checked, which is the default.
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

from benchmarks.harness.fio import Fio
from benchmarks.harness.flat_load import (
    RAMP_S,
    SHAPES,
    WINDOW_S,
    FlatLoad,
    Load,
    Sample,
    alternate,
)
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.units import KIB

BLOCKS = {"64KiB": 64 * KIB, "1MiB": 1024 * KIB, "4MiB": 4096 * KIB}
READ_SHARES = {"read": 1.0, "write": 0.0, "mix": 0.7}
CASES = [
    (pattern, block, shape)
    for pattern, block, shape in itertools.product(READ_SHARES, BLOCKS, SHAPES)
    if pattern != "mix" or SHAPES[shape][1] == 1
]
SHARE_TOLERANCE = 0.03
"""Allowed deviation of the share of read bytes, over all windows of the storage layer."""

pytestmark = pytest.mark.skipif(
    shutil.which("fio") is None, reason="fio is not installed (Debian package fio)"
)


@pytest.mark.parametrize(("pattern", "block", "shape"), CASES)
def test_parity(
    study_dir: Path, io_mode: IoMode, benchmark: Any, pattern: str, block: str, shape: str
) -> None:
    load = Load(BLOCKS[block], *SHAPES[shape], READ_SHARES[pattern])
    with FlatLoad(study_dir, load, io_mode) as flat:
        fio = Fio(flat.path, load, io_mode)

        def run_fio() -> Sample:
            sample = fio.run(WINDOW_S)
            if load.read_share < 1:
                flat.drop_entries()
            return sample

        own, reference, verified = alternate(
            benchmark,
            lambda: flat.run(RAMP_S, WINDOW_S, verify_rate=0.0),
            run_fio,
            lambda: flat.run(RAMP_S, WINDOW_S, verify_rate=1.0),
        )
    read_share = statistics.fmean(sample.read_share for sample in (*own, *verified))
    assert read_share == pytest.approx(load.read_share, abs=SHARE_TOLERANCE)
    benchmark.extra_info.update(
        pattern=pattern,
        block=block,
        shape=shape,
        io_mode=io_mode,
        pairs=len(reference),
        **ratios(own, reference),
        **{f"verified_{name}": value for name, value in ratios(verified, reference).items()},
        late_share=statistics.median(sample.late_share for sample in verified),
        read_share=read_share,
        fio_read_share=statistics.fmean(sample.read_share for sample in reference),
        fio_memory=fio.memory,
        fio_gib_s=statistics.median(sample.gib_s for sample in reference),
        fio_p95_ms=statistics.median(sample.p95_ms for sample in reference),
        fio_cpu_s_per_gib=statistics.median(sample.cpu_s_per_gib for sample in reference),
    )


def ratios(own: list[Sample], reference: list[Sample]) -> dict[str, float]:
    """Return the medians of the pairs' ratios, storage layer / fio."""
    pairs = list(zip(own, reference, strict=True))
    return {
        "bandwidth_ratio": statistics.median(a.gib_s / b.gib_s for a, b in pairs),
        "p95_ratio": statistics.median(a.p95_ms / b.p95_ms for a, b in pairs),
        "cpu_ratio": statistics.median(a.cpu_s_per_gib / b.cpu_s_per_gib for a, b in pairs),
    }
