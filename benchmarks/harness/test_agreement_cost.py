"""What it costs that all ranks agree on each test: empty tests, with the plugin and without.

Starts 8 ranks of its own, whatever the cores. The figure is wall-clock time on the slowest rank, so
with fewer cores than ranks it holds the work of all of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from mlpstorage_bench.launch.launchers.installed import find_binary, identify

RANKS = 8
TESTS = 300
PAIRS = 5
MOST_MS = 2.0

_CONFTEST = """
import os, time
import pytest

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop():
    began = time.perf_counter()
    result = yield
    with open(f"loop-{os.getpid()}", "w") as file:
        file.write(str(time.perf_counter() - began))
    return result
"""
_TESTS = f"""
import pytest

@pytest.mark.parametrize("number", range({TESTS}))
def test_empty(number):
    pass
"""


def loop_s(folder: Path, *arguments: str) -> float:
    """Run the tests on all ranks; return how long the slowest took for them."""
    as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    binary = find_binary(None)
    of_open_mpi = ["--oversubscribe", "--bind-to", "none", *as_root]
    flags = of_open_mpi if "Open MPI" in identify(binary).title else []
    subprocess.run(  # noqa: S603 - a command of our own
        [
            *(binary, "-n", str(RANKS), *flags, sys.executable, "-m", "pytest", "-q"),
            *("-p", "no:cacheprovider", *arguments),
        ],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    times = [float(path.read_text()) for path in folder.glob("loop-*")]
    assert len(times) == RANKS
    for path in folder.glob("loop-*"):
        path.unlink()
    return max(times)


def test_agreement_costs_at_most_two_milliseconds_per_test(benchmark: Any, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    (tmp_path / "test_empty.py").write_text(_TESTS)
    costs_ms: list[float] = []
    alone_ms: list[float] = []

    def one_pair() -> None:
        alone_s = loop_s(tmp_path, "-p", "no:mlpstorage")
        together_s = loop_s(tmp_path)
        alone_ms.append(1000 * alone_s / TESTS)
        costs_ms.append(1000 * (together_s - alone_s) / TESTS)

    benchmark.pedantic(one_pair, rounds=PAIRS)
    benchmark.extra_info.update(
        ranks=RANKS, cores=os.cpu_count(), alone_ms=median(alone_ms), agreement_ms=median(costs_ms)
    )
    print(
        f"\n{RANKS} ranks on {os.cpu_count()} cores, ms per test: "
        f"alone {median(alone_ms):.2f}, agreement adds {median(costs_ms):.2f} "
        f"({min(costs_ms):.2f} to {max(costs_ms):.2f})"
    )
    assert median(costs_ms) <= MOST_MS
