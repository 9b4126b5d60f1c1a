"""What the results of thousands of ranks cost rank 0: time and memory, in one process.

A rank is made up: the histograms of a trial with many samples. `tree_s` is what rank 0 adds in the
tree, as often as the number of ranks can be halved; `all_s` what all ranks add together; `totals_s`
and `rank_results_s` what rank 0 reads of every rank's totals and of its results, which are kept for
its files; `pool_s` what it makes one result in.
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
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - an argument vector of our own
        assert done.returncode == 0, done.stderr
        result: dict[str, float] = json.loads(done.stdout)
        return result

    seen = benchmark.pedantic(run, rounds=1, iterations=1)
    benchmark.extra_info.update(seen)
    assert seen["requests"] == ranks * samples
