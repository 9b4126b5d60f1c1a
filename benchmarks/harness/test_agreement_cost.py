"""Cost of the agreement of all ranks on each test: empty tests with and without the plugin.

The study starts 8 ranks on any number of cores. The figure is wall-clock time on the slowest rank;
with fewer cores than ranks, it includes the work of other ranks.
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
ALLOWED_MS = 2.0

_CONFTEST = """
import os, time
import pytest

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop():
    started = time.perf_counter()
    result = yield
    with open(f"loop-{os.getpid()}", "w") as file:
        file.write(str(time.perf_counter() - started))
    return result
"""
_TESTS = f"""
import pytest

@pytest.mark.parametrize("number", range({TESTS}))
def test_empty(number):
    pass
"""


def loop_s(folder: Path, *arguments: str) -> float:
    """Run the tests on all ranks; return the time of the slowest, in seconds."""
    as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    binary = find_binary(None)
    open_mpi_flags = ["--oversubscribe", "--bind-to", "none", *as_root]
    flags = open_mpi_flags if "Open MPI" in identify(binary).title else []
    subprocess.run(  # noqa: S603 - a fixed command
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
    without_ms: list[float] = []

    def one_pair() -> None:
        without_s = loop_s(tmp_path, "-p", "no:mlpstorage")
        with_s = loop_s(tmp_path)
        without_ms.append(1000 * without_s / TESTS)
        costs_ms.append(1000 * (with_s - without_s) / TESTS)

    benchmark.pedantic(one_pair, rounds=PAIRS)
    benchmark.extra_info.update(
        ranks=RANKS,
        cores=os.cpu_count(),
        without_ms=median(without_ms),
        agreement_ms=median(costs_ms),
    )
    print(
        f"\n{RANKS} ranks on {os.cpu_count()} cores, ms per test: "
        f"without the plugin {median(without_ms):.2f}, agreement adds {median(costs_ms):.2f} "
        f"({min(costs_ms):.2f} to {max(costs_ms):.2f})"
    )
    assert median(costs_ms) <= ALLOWED_MS
