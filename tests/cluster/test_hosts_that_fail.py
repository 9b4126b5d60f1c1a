"""Ranks, daemons and hosts that fail, of a session over several hosts.

Each run ends by itself and with a failure, and leaves nothing on any host. Where it was is what the
launcher says: of a rank that is killed on another host, Open MPI 5 says nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.failing_sessions import Session
from tests.cluster.hosts_bed import Bed
from tests.cluster.sessions_on_hosts import metadata_on
from tests.cluster.waiting import PATIENCE_S
from tests.mpis import MPIS

pytestmark = [pytest.mark.hosts, pytest.mark.launches_mpi]

GOOD = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


@pytest.mark.parametrize(
    "name", ["mpich", pytest.param("open mpi 5", marks=pytest.mark.hosts_matrix)]
)
def test_a_rank_that_is_killed_on_another_host_ends_the_run(
    name: str, bed: Bed, shared: Path
) -> None:
    session = Session(bed, MPIS[name](), shared)
    session.wait_for_files()
    (rank,) = session.ranks_on("h2")
    rank.kill()
    status, output = session.end()
    assert status not in GOOD
    if name == "mpich":
        assert "RUNNING AT h2" in output
    assert metadata_on(bed, "h1")["status"] != "passed"
    session.check_that_nothing_is_left()


@pytest.mark.hosts_matrix
def test_open_mpi_ends_a_run_whose_daemon_is_killed_on_another_host(bed: Bed, shared: Path) -> None:
    session = Session(bed, MPIS["open mpi 5"](), shared)
    session.wait_for_files()
    (rank,) = session.ranks_on("h2")
    daemon = rank.parent()
    assert daemon is not None
    daemon.kill()
    status, output = session.end()
    assert status not in GOOD
    assert "lost communication with a remote daemon" in output
    session.check_that_nothing_is_left()


@pytest.mark.parametrize("name", ["mpich", "open mpi 5"])
def test_a_host_that_cannot_be_reached_is_an_error(name: str, bed: Bed, shared: Path) -> None:
    with bed.cut_off("h2"):
        session = Session(bed, MPIS[name](), shared)
        status, output = session.end()
        assert status not in GOOD
        assert "test session starts" not in output
        session.check_that_nothing_is_left()


def test_a_disk_that_fills_up_on_another_host_fails_the_run_with_its_name(
    bed: Bed, shared: Path
) -> None:
    cache = bed.private / "cache"
    for host in ("h1", "h2"):
        bed.do(host, "mkdir", str(cache))
    bed.mount("h2", cache, "-t", "tmpfs", "-o", "size=64m", "tmpfs")
    session = Session(bed, MPIS["mpich"](), shared)
    session.wait_for_files()
    # Again and again: what the rank evicts makes room for what it writes
    fill = f"while test -d {cache}/rank_1; do cat /dev/zero >> {cache}/of-another; done"
    filling = bed.start("h2", ["sh", "-c", fill])
    status, output = session.end()
    filling.communicate(timeout=PATIENCE_S)
    assert status == pytest.ExitCode.TESTS_FAILED, output
    assert "rank 1 on h2: mlpstorage_bench.errors.StorageError" in output
    assert "No space left on device" in output
    assert metadata_on(bed, "h1")["status"] == "failed"
    session.check_that_nothing_is_left()
