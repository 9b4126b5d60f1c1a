"""The default profile drives the storage to its limit in its first workload, within a minute.

The study runs the shipped workloads as a user does, in two ranks, and states what limited each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from mlpstorage_bench.launch.launchers.installed import find_binary

RANKS = 2
MAX_SECONDS = 60
FIGURES = ("limited_by", "ceiling_ratio", "read_gib_s", "write_gib_s", "device_share")


def test_default_profile(study_dir: Path, tmp_path: Path, benchmark: Any) -> None:
    as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    launcher = [find_binary(None), "-n", str(RANKS), "--oversubscribe", "--bind-to", "none"]
    tests = ["--pyargs", "mlpstorage_bench.benchmarks", "-m", "not mlps_scenario"]
    where = [f"--mlps-cache-dir={study_dir / 'cache'}", f"--mlps-results-dir={tmp_path}"]
    pytest_command = [sys.executable, "-m", "pytest", *tests, *where, "-p", "no:cacheprovider"]
    seconds: list[float] = []

    def run() -> None:
        started = time.monotonic()
        command = [*launcher, *as_root, *pytest_command]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)  # noqa: S603 - a fixed command
        assert done.returncode == 0, done.stdout + done.stderr
        seconds.append(time.monotonic() - started)

    benchmark.pedantic(run, rounds=1, iterations=1)
    (metadata,) = tmp_path.rglob("kv_cache_*_metadata.json")
    cases = json.loads(metadata.read_text(encoding="utf-8"))["mlpstorage"]["metrics"]
    for name, case in cases.items():
        figures = {figure: case[figure] for figure in FIGURES}
        print(f"workload {name}: {figures}")
        benchmark.extra_info[f"workload_{name}"] = figures
    print(f"{seconds[0]:.0f} s")
    benchmark.extra_info["seconds"] = seconds[0]
    assert cases["1"]["limited_by"] == "storage"
    assert seconds[0] < MAX_SECONDS
