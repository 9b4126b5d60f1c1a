"""Time to validate a submission of 1000 runs, each with metadata, a summary and nine rank files.

    pytest benchmarks/harness/test_validation_speed.py --benchmark-json FILE

One process, on one core: the files are in the page cache after the first round. Its processor time
is the time that it takes on a core of its own.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from mlpstorage_bench.validation.tree import read_tree
from mlpstorage_bench.validation.validate import validate
from tests.validation.trees import Submission, change

LEAVES = 1000
RANK_FILE_BYTES = 20_000
ROUNDS = 3
MOST_CPU_S = 10


def test_validation_of_1000_runs(tmp_path: Path, benchmark: Any) -> None:
    top = submission_of(LEAVES, tmp_path / "tree")
    cpu_s = []

    def check() -> int:
        before = time.process_time()
        findings = validate(read_tree(top))
        cpu_s.append(time.process_time() - before)
        return len(findings)

    benchmark.extra_info["leaves"] = LEAVES
    benchmark.extra_info["rules_checked"] = benchmark.pedantic(check, rounds=ROUNDS, iterations=1)
    benchmark.extra_info["cpu_s"] = cpu_s
    assert min(cpu_s) < MOST_CPU_S


def submission_of(leaves: int, top: Path) -> Path:
    """Make a submission of one rank per run, whose files are as large as published ones."""
    made = Submission(top)
    made.kv_ranks = {key: value for key, value in made.kv_ranks.items() if key[2] == 0}
    made.write()
    for path in made.kv_leaf.rglob("kvcache_results_*.json"):
        change(path, _fill)
    for number in range(1, leaves):
        name = f"20260801_{number // 3600:02d}{number // 60 % 60:02d}{number % 60:02d}"
        leaf = made.kv_leaf.with_name(name)
        shutil.copytree(made.kv_leaf, leaf)
        metadata = next(leaf.glob("*_metadata.json"))
        metadata.rename(leaf / f"kv_cache_{name}_metadata.json")
    return made.top


def _fill(content: dict[str, Any]) -> None:
    """Add latencies until a rank file has the usual size."""
    missing = RANK_FILE_BYTES - len(json.dumps(content))
    content["decode_latencies"] = [0.123456789] * (missing // len("0.123456789, "))
