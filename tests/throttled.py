"""A small trial in this process's control group, which limits what it reads and writes per second.

Run as `python -m tests.throttled DIRECTORY LANES`; prints what limited the trial.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from mlpstorage_bench.kvcache.results.pooling import pool_trial
from mlpstorage_bench.kvcache.runner.calibration import calibrate
from mlpstorage_bench.kvcache.runner.trial import run_trial
from tests.trials import SoloRanks, context, workload


def main(directory: Path, lanes: int) -> None:
    shape = workload(
        max_concurrent_allocs=lanes,
        entry_scale=0.1,
        io_chunk_kib=1024,
        duration=1.0,
        calibration=0.2,
        think_time_scale=0.0,
    )
    here = context(directory)
    ceiling = calibrate(shape, here, SoloRanks())
    result = pool_trial(
        1, [dataclasses.replace(run_trial(shape, here, SoloRanks()), ceiling=ceiling)]
    )
    print(  # noqa: T201 - for the test that started this
        result.limited_by, *result.metrics().items(), sep="\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
