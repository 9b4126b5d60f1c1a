"""Ranks that exit in a test under a user's MPICH launcher: an error that names them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from tests.mpis import Mpi, mpich
from tests.variants import first_of

pytestmark = pytest.mark.launches_mpi

PATIENCE_S = 20
TEST = """
import os, pathlib, signal

def test_ends(mpi_comm):
    pathlib.Path(f"rank-{{mpi_comm.rank}}").write_text(str(os.getpgid(0)))
    if mpi_comm.rank == {rank}:
        {how}
    mpi_comm.barrier()
"""


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> Mpi:
    one = mpich()
    for name, value in one.environment.items():
        monkeypatch.setenv(name, value)
    return one


def run(mpi: Mpi, folder: Path, rank: int, how: str) -> subprocess.CompletedProcess[str]:
    """Run two ranks, one of which acts, and check that no process is left."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(textwrap.dedent(TEST.format(rank=rank, how=how)))
    done = subprocess.run(
        [*mpi.by_hand(2), sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    groups = {int(path.read_text()) for path in folder.glob("rank-*")}
    assert len(groups) == 2
    deadline = time.monotonic() + PATIENCE_S
    while left := [process for process in psutil.process_iter() if runs_in(process, groups)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    return done


def runs_in(process: psutil.Process, groups: set[int]) -> bool:
    try:
        is_zombie = process.status() == psutil.STATUS_ZOMBIE
        return not is_zombie and os.getpgid(process.pid) in groups
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False


@pytest.mark.parametrize("rank", first_of(1, 0))
@pytest.mark.parametrize("how", ["os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_rank_that_exits_in_a_test_fails_the_session_by_name(
    by_hand: Mpi, tmp_path: Path, rank: int, how: str
) -> None:
    done = run(by_hand, tmp_path, rank, how)
    assert done.returncode == 86, done.stdout + done.stderr
    here = os.uname().nodename
    assert done.stderr.count("died before") == 1
    assert f"rank {rank} on {here} died before the session's end" in done.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    ("how", "status"),
    [("mpi_comm.abort(7, 'the array is on fire')", 7), ("assert False", 1), ("pass", 0)],
    ids=["abort", "failure", "success"],
)
def test_guard_prints_nothing_for_normal_ends_and_aborts(
    by_hand: Mpi, tmp_path: Path, how: str, status: int
) -> None:
    done = run(by_hand, tmp_path, 1, how)
    assert done.returncode == status, done.stdout + done.stderr
    assert "died before" not in done.stderr
