"""A rank's resident memory: flat in users, entry size and duration.

It is its buffers (number in flight by chunk size) and at most 200 MiB, whatever is asked of it.
Each case is a process of its own on real files, with 131072 bytes per token: entries of up to
3 GiB.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MIB = 1 << 20
ALLOWED_BESIDE_BUFFERS = 200 * MIB


@pytest.mark.parametrize(
    ("users", "entry_scale", "duration"),
    [
        (1, 1.0, 3.0),
        (20, 1.0, 3.0),
        (200, 1.0, 3.0),
        (2000, 1.0, 3.0),
        (200, 0.001, 3.0),
        (200, 1.0, 12.0),
    ],
)
def test_resident_memory(
    study_dir: Path, benchmark: Any, users: int, entry_scale: float, duration: float
) -> None:
    module = "benchmarks.harness.resident"
    figures = (str(study_dir), str(users), str(entry_scale), str(duration))

    def run() -> dict[str, float]:
        command = [sys.executable, "-m", module, *figures]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - an argument vector of our own
        assert done.returncode == 0, done.stderr
        result: dict[str, float] = json.loads(done.stdout)
        return result

    seen = benchmark.pedantic(run, rounds=1, iterations=1)
    beside = seen["peak_rss_bytes"] - seen["buffer_bytes"]
    benchmark.extra_info.update(
        users=users,
        entries="up to 3 GiB" if entry_scale == 1 else "up to 3 MiB",
        duration_s=duration,
        moved_gib=seen["moved_gib"],
        idle_rss_mib=seen["idle_rss_bytes"] / MIB,
        peak_rss_mib=seen["peak_rss_bytes"] / MIB,
        buffers_mib=seen["buffer_bytes"] / MIB,
        beside_buffers_mib=beside / MIB,
    )
    assert beside <= ALLOWED_BESIDE_BUFFERS
