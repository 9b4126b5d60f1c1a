"""Our storage layer against fio: the same directory, sizes, number in flight and mix, in pairs.

    pytest benchmarks/harness/test_storage_parity.py --mlps-cache-dir DIR --benchmark-json FILE
    python -m benchmarks.harness.table FILE

Ours and fio alternate, so that both meet the same good and bad moments of the storage; a case
states the median of its pairs' ratios. Ours makes unique content for every write. It checks nothing
it reads in the pairs (nor does fio); `verified_*` is the same with every read checked, the default.
As many are in flight in either shape of ours, one lane with many chunks or many lanes with one;
fio is one process. A lane reads or writes one entry at a time: in the mix each block is an entry,
and as many lanes as there are to be in flight read and write them side by side, as fio does.
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
"""How far the bytes that were read may be from the share asked for, over all windows of ours."""

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
                flat.forget()
            return sample

        ours, theirs, verified = alternate(
            benchmark,
            lambda: flat.run(RAMP_S, WINDOW_S, verify_rate=0.0),
            run_fio,
            lambda: flat.run(RAMP_S, WINDOW_S, verify_rate=1.0),
        )
    read_share = statistics.fmean(sample.read_share for sample in (*ours, *verified))
    assert read_share == pytest.approx(load.read_share, abs=SHARE_TOLERANCE)
    benchmark.extra_info.update(
        pattern=pattern,
        block=block,
        shape=shape,
        io_mode=io_mode,
        pairs=len(theirs),
        **ratios(ours, theirs),
        **{f"verified_{name}": value for name, value in ratios(verified, theirs).items()},
        late_share=statistics.median(sample.late_share for sample in verified),
        read_share=read_share,
        fio_read_share=statistics.fmean(sample.read_share for sample in theirs),
        fio_memory=fio.memory,
        fio_gib_s=statistics.median(sample.gib_s for sample in theirs),
        fio_p95_ms=statistics.median(sample.p95_ms for sample in theirs),
        fio_cpu_s_per_gib=statistics.median(sample.cpu_s_per_gib for sample in theirs),
    )


def ratios(ours: list[Sample], theirs: list[Sample]) -> dict[str, float]:
    """Return the medians of the pairs' ratios ours / fio."""
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "bandwidth_ratio": statistics.median(a.gib_s / b.gib_s for a, b in pairs),
        "p95_ratio": statistics.median(a.p95_ms / b.p95_ms for a, b in pairs),
        "cpu_ratio": statistics.median(a.cpu_s_per_gib / b.cpu_s_per_gib for a, b in pairs),
    }
