"""Time to pool the results of many ranks: from the close of the window to one result on rank 0.

The time must not depend on the number of samples, and be below two seconds with 64 ranks on two
cores. Each case is an mpirun of its own over a store that keeps nothing, which gives most samples.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from mlpstorage_bench.launch.launchers.installed import find_binary

ALLOWED_S = 2.0


@pytest.mark.parametrize("duration", [0.5, 8.0])
@pytest.mark.parametrize("ranks", [8, 64])
def test_pooling(benchmark: Any, ranks: int, duration: float) -> None:
    as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    launcher = [find_binary(None), "-n", str(ranks), "--oversubscribe", "--bind-to", "none"]
    module = "benchmarks.harness.pooled_ranks"
    command = [*launcher, *as_root, sys.executable, "-m", module, str(duration)]

    def run() -> dict[str, float]:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
        assert done.returncode == 0, done.stderr
        result: dict[str, float] = json.loads(done.stdout)
        return result

    seen = benchmark.pedantic(run, rounds=1, iterations=1)
    benchmark.extra_info.update(seen)
    assert seen["result_s"] < ALLOWED_S
