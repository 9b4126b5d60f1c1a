"""Cost of live figures in a window: sessions of real ranks with and without progress, in pairs.

    pytest benchmarks/harness/test_live_cost.py --benchmark-json FILE
    python -m benchmarks.harness.table FILE

Each rank runs one trial over the null store, with chunks of 64 KiB. With progress, every rank sends
its figures to rank 0 once a second, and rank 0 receives and shows them. The CPU time of that, MPI's
included, is given for each rank as a share of its process's CPU time in the window. The pairs
compare CPU time per GiB and GiB/s with and without progress; they are as exact as the machine is
quiet.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.launch.launchers.installed import find_binary

PAIRS = 5
WINDOW_S = 5
ALLOWED_SHARE = 0.005
OPTIONS = (
    *("--mlps-results-dir=results", "--mlps-cache-dir=cache", "--mlps-trials=1"),
    *(f"--mlps-set=duration={WINDOW_S}", "--mlps-set=warmup=0", "--mlps-set=calibration=0"),
    *("--mlps-set=model=llama2-7b", "--mlps-set=kv_dtype=float32", "--mlps-set=tensor_parallel=16"),
    *("--mlps-set=entry_scale=1e-9", "--mlps-set=io_chunk_kib=64", "--mlps-set=num_users=16"),
    *("--mlps-set=think_time_scale=0", "--mlps-set=decode_reads=once"),
)
CONFTEST = """
import functools, json, os, time
from pathlib import Path
import pytest
from mlpstorage_bench.kvcache.runner import engine
from mlpstorage_bench.trial.watch import TrialWatch
from mlpstorage_bench.storage.null import NullStore

store = NullStore(is_queued=True)
run_trial = engine.run_trial

def over_null(*arguments, **named):
    named |= {"make_store": lambda *_: store, "open_queue": store.open_queue}
    return run_trial(*arguments, **named)

engine.run_trial = over_null
spent_ns = 0

def timed(method):
    @functools.wraps(method)
    def measured(self, reading):
        global spent_ns
        began_ns = time.thread_time_ns()
        try:
            return method(self, reading)
        finally:
            spent_ns += time.thread_time_ns() - began_ns
    return measured

TrialWatch.read = timed(TrialWatch.read)

@pytest.fixture
def spent(mpi_comm):
    global spent_ns
    spent_ns = 0
    yield
    Path(f"spent-{mpi_comm.rank}").write_text(str(spent_ns))
"""
TEST = "def test_run(kvcache, spent): kvcache.run(1)"


def session(folder: Path, ranks: int, progress: str) -> dict[str, float]:
    """Run the trial; return CPU seconds per GiB, GiB/s, and the greatest share of a rank."""
    as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    subprocess.run(  # noqa: S603 - a fixed command
        [
            *(find_binary(None), "-n", str(ranks), "--oversubscribe", "--bind-to", "none"),
            *(*as_root, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *OPTIONS),
            f"--mlps-progress={progress}",
        ],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    path = max((folder / "results").rglob("*_metadata.json"), key=lambda each: each.stat().st_mtime)
    metrics = json.loads(path.read_text())["mlpstorage"]["metrics"]["1"]
    of_ranks = [int((folder / f"spent-{rank}").read_text()) / 1e9 for rank in range(ranks)]
    moved_gib_s = metrics["read_gib_s"] + metrics["write_gib_s"]
    cpu_s = metrics["cpu_s_per_gib"] * moved_gib_s * WINDOW_S / ranks
    return {
        "cpu_s_per_gib": metrics["cpu_s_per_gib"],
        "gib_s": moved_gib_s,
        "share": max(of_ranks) / cpu_s,
        "of_core": max(of_ranks) / WINDOW_S,
    }


@pytest.mark.parametrize("ranks", [2, 4])
def test_live_cost(benchmark: Any, tmp_path: Path, ranks: int) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TEST)
    pairs: list[tuple[dict[str, float], dict[str, float]]] = []

    def pair() -> None:
        pairs.append((session(tmp_path, ranks, "lines:1"), session(tmp_path, ranks, "off")))

    benchmark.pedantic(pair, rounds=PAIRS, iterations=1)
    benchmark.extra_info.update(
        ranks=ranks,
        share=spread([shown["share"] for shown, _ in pairs]),
        of_core=spread([shown["of_core"] for shown, _ in pairs]),
        cpu_ratio=spread([one["cpu_s_per_gib"] / other["cpu_s_per_gib"] for one, other in pairs]),
        bandwidth_ratio=spread([one["gib_s"] / other["gib_s"] for one, other in pairs]),
    )
    assert statistics.median(shown["of_core"] for shown, _ in pairs) <= ALLOWED_SHARE


def spread(values: list[float]) -> dict[str, float]:
    """Return minimum, median and maximum."""
    return {"least": min(values), "median": statistics.median(values), "most": max(values)}
