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
