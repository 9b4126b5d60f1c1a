"""Time and memory of rank 0 for the results of thousands of ranks, in one process.

Ranks are synthetic: the histograms of a trial with many samples. Times:

- `tree_s`: merges by rank 0 in the tree, log2 of the number of ranks
- `all_s`: merges by all ranks together
- `totals_s`, `rank_results_s`: reading every rank's totals and results, which go to files
- `pool_s`: making one result from all
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest


@pytest.mark.parametrize("samples", [1_000, 20_000])
@pytest.mark.parametrize("ranks", [64, 4096])
def test_merge(benchmark: Any, ranks: int, samples: int) -> None:
    module = "benchmarks.harness.merged_ranks"

    def run() -> dict[str, float]:
        command = [sys.executable, "-m", module, str(ranks), str(samples)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
        assert done.returncode == 0, done.stderr
        result: dict[str, float] = json.loads(done.stdout)
        return result

    seen = benchmark.pedantic(run, rounds=1, iterations=1)
    benchmark.extra_info.update(seen)
    assert seen["requests"] == ranks * samples
