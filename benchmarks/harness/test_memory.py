"""Resident memory of a rank: independent of users, entry size and duration.

The limit is its buffers (one chunk for each that may be in flight, and one more for each lane with
a queue) and 200 MiB. Each case is a process of its own on real files, with 131072 bytes per token:
entries of up to 3 GiB, or of exactly 3 GiB.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.units import MIB

LARGE_BYTES = 3 << 30
LARGE_ENTRIES = 2
ALLOWED_BESIDE_BUFFERS = 200 * MIB


@pytest.mark.parametrize(
    ("users", "entry_scale", "duration", "chunk_kib"),
    [
        (1, 1.0, 3.0, 1024),
        (20, 1.0, 3.0, 1024),
        (200, 1.0, 3.0, 1024),
        (2000, 1.0, 3.0, 1024),
        (200, 0.001, 3.0, 1024),
        (200, 1.0, 12.0, 1024),
        (20, 1.0, 3.0, 64),
        (20, 1.0, 3.0, 16 * 1024),
    ],
)
def test_resident_memory(
    study_dir: Path,
    benchmark: Any,
    users: int,
    entry_scale: float,
    duration: float,
    chunk_kib: int,
) -> None:
    workload = {
        "num_users": users,
        "entry_scale": entry_scale,
        "duration": duration,
        "io_chunk_kib": chunk_kib,
    }
    seen = _measure(study_dir, benchmark, workload)
    entries = "up to 3 GiB" if entry_scale == 1 else "up to 3 MiB"
    _check(benchmark, seen, users=users, entries=entries, chunk_kib=chunk_kib)
    benchmark.extra_info["duration_s"] = duration


@pytest.mark.parametrize("chunks_in_flight", [1, 4])
@pytest.mark.parametrize("chunk_kib", [64, 1024, 16 * 1024])
def test_resident_memory_of_large_entries(
    study_dir: Path,
    tmp_path: Path,
    benchmark: Any,
    chunk_kib: int,
    chunks_in_flight: int,
) -> None:
    trace = tmp_path / "large.csv"
    operations = [
        f"0,{operation},{LARGE_BYTES},storage,entry{number},Prefill"
        for operation in ("Write", "Read")
        for number in range(LARGE_ENTRIES)
    ]
    columns = "Timestamp,Operation,Object_Size_Bytes,Tier,Key,Phase"
    trace.write_text("\n".join((columns, *operations, "")))
    workload = {
        "num_users": LARGE_ENTRIES,
        "trace_in": str(trace),
        "duration": 600.0,  # the trace ends first
        "io_chunk_kib": chunk_kib,
        "chunks_in_flight": chunks_in_flight,
    }
    seen = _measure(study_dir, benchmark, workload)
    moved = {"count": len(operations), "moved_bytes": len(operations) * LARGE_BYTES}
    assert seen["largest_entries"] == moved
    _check(benchmark, seen, users=LARGE_ENTRIES, entries="3 GiB", chunk_kib=chunk_kib)


def _measure(study_dir: Path, benchmark: Any, workload: dict[str, Any]) -> dict[str, Any]:
    module = "benchmarks.harness.resident"
    command = [sys.executable, "-m", module, str(study_dir), json.dumps(workload)]

    def run() -> dict[str, Any]:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    seen: dict[str, Any] = benchmark.pedantic(run, rounds=1, iterations=1)
    return seen


def _check(
    benchmark: Any, seen: dict[str, Any], *, users: int, entries: str, chunk_kib: int
) -> None:
    beside = seen["peak_rss_bytes"] - seen["buffer_bytes"]
    benchmark.extra_info.update(
        users=users,
        entries=entries,
        chunk_kib=chunk_kib,
        moved_gib=seen["moved_gib"],
        idle_rss_mib=seen["idle_rss_bytes"] / MIB,
        peak_rss_mib=seen["peak_rss_bytes"] / MIB,
        in_flight_mib=seen["in_flight_bytes"] / MIB,
        buffers_mib=seen["buffer_bytes"] / MIB,
        beside_buffers_mib=beside / MIB,
    )
    assert beside <= ALLOWED_BESIDE_BUFFERS
