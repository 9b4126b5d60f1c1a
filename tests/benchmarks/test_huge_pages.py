"""Huge pages are set aside for fio, and their number is restored whatever happens."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.harness.huge_pages import set_aside
from mlpstorage_bench.units import MIB

PROJECT = Path(__file__).parents[2]

pytestmark = pytest.mark.starts_process


class Host:
    """Files as of a kernel; it has as many free pages as `meminfo` was given."""

    def __init__(self, directory: Path, *, free: int, page_kib: int = 2048) -> None:
        self.number = directory / "nr_hugepages"
        self.number.write_text("3\n")
        self.meminfo = directory / "meminfo"
        self._page_kib = page_kib
        self.has_free(free)

    def has_free(self, pages: int) -> None:
        size = f"Hugepagesize: {self._page_kib} kB\n" if self._page_kib else ""
        self.meminfo.write_text(f"MemTotal: 9 kB\nHugePages_Free: {pages}\n{size}")


def test_missing_pages_are_added_and_taken_back(tmp_path: Path) -> None:
    host = Host(tmp_path, free=1)
    with set_aside(7 * MIB, host.number, host.meminfo):
        assert host.number.read_text() == "6"
    assert host.number.read_text() == "3"


@pytest.mark.parametrize("error", [AssertionError, KeyboardInterrupt])
def test_number_is_restored_after_a_failure(tmp_path: Path, error: type[BaseException]) -> None:
    host = Host(tmp_path, free=0)
    with pytest.raises(error), set_aside(MIB, host.number, host.meminfo):
        raise error
    assert host.number.read_text() == "3"


@pytest.mark.slow
def test_number_is_restored_after_the_study_was_killed(tmp_path: Path) -> None:
    host = Host(tmp_path, free=0)
    study = f"""
import os, signal
from pathlib import Path
from benchmarks.harness.huge_pages import set_aside
with set_aside(1 << 20, Path({str(host.number)!r}), Path({str(host.meminfo)!r})):
    assert Path({str(host.number)!r}).read_text() == "4"
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", study], cwd=PROJECT, check=False)
    assert done.returncode == -signal.SIGKILL
    gives_up_at = time.monotonic() + 60
    while host.number.read_text() != "3" and time.monotonic() < gives_up_at:
        time.sleep(0.05)
    assert host.number.read_text() == "3"


def test_free_pages_that_suffice_are_used(tmp_path: Path) -> None:
    host = Host(tmp_path, free=4)
    with set_aside(8 * MIB, host.number, host.meminfo) as lacking:
        assert lacking == ""
        assert host.number.read_text() == "3\n"


def test_kernel_that_sets_aside_too_little_is_named(tmp_path: Path) -> None:
    host = Host(tmp_path, free=1)
    with set_aside(4 * MIB, host.number, host.meminfo) as lacking:
        assert lacking == "the kernel set aside too little: 1 huge pages are free"
    assert host.number.read_text() == "3"


def test_host_that_allows_none_is_named(tmp_path: Path) -> None:
    host = Host(tmp_path, free=0)
    with set_aside(MIB, tmp_path / "absent", host.meminfo) as lacking:
        assert "1 huge pages are missing, and could not be set aside" in lacking


def test_kernel_without_huge_pages_is_named(tmp_path: Path) -> None:
    host = Host(tmp_path, free=0, page_kib=0)
    with set_aside(MIB, host.number, host.meminfo) as lacking:
        assert lacking == f"{host.meminfo} states no size of huge pages"
