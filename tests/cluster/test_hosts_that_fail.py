"""Failing daemons and hosts of a session over several hosts.

Each run ends by itself with an error that names the host, and leaves nothing on any host.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from mlpstorage_bench.process.stderr import ABORT_STATUS
from tests.cluster.failing_sessions import Session
from tests.cluster.namespace_cluster import NamespaceCluster
from tests.cluster.sessions_on_hosts import TINY, files_on, metadata_on
from tests.cluster.slurm import BY_SLURM
from tests.failures.scenario import SLACK_S
from tests.mpis import MPIS, Mpi

pytestmark = [pytest.mark.hosts, pytest.mark.launches_mpi]

GOOD = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


@pytest.mark.hosts_matrix
def test_killed_open_mpi_daemon_on_another_host_ends_the_run(
    cluster: NamespaceCluster, shared: Path
) -> None:
    session = Session.measuring(cluster, MPIS["open mpi 5"](), shared)
    session.wait_for_files()
    session.kill_daemon("h2")
    status, output = session.end()
    assert status not in GOOD
    assert "lost communication with a remote daemon" in output
    assert re.search(r"Remote:.*\bh2\b|daemon.*\bh2\b|rank 1 on h2", output), output
    assert metadata_on(cluster, "h1")["mlpstorage"]["status"] in ("died", "failed")
    session.check_that_nothing_is_left()


@pytest.mark.parametrize(
    "name", [pytest.param("mpich", marks=pytest.mark.hosts_matrix), "open mpi 5"]
)
def test_unreachable_host_is_an_error(name: str, cluster: NamespaceCluster, shared: Path) -> None:
    with cluster.cut_off("h2"):
        began_s = time.monotonic()
        session = Session.measuring(cluster, MPIS[name](), shared)
        status, output = session.end()
        assert time.monotonic() - began_s < SLACK_S, output
        assert status not in GOOD
        assert "test session starts" not in output
        assert re.search("hosts requested: h1, h2; ranks started on: (h1|none)", output), output
        session.check_that_nothing_is_left()


@pytest.mark.hosts_matrix
@pytest.mark.parametrize("mpi_name", [f"mpich{BY_SLURM}"])
def test_next_run_removes_cache_files_of_ranks_that_slurm_killed(
    mpi: Mpi, cluster: NamespaceCluster, shared: Path
) -> None:
    """Slurm kills, with a rank, the helper processes that would have removed its files."""
    session = Session.measuring(cluster, mpi, shared)
    session.wait_for_files()
    (rank,) = session.ranks_on("h1")
    rank.kill()
    status, output = session.end()
    assert status == ABORT_STATUS, output
    session.check_that_nothing_is_left(cache_may_stay=True)
    session = Session(cluster, mpi, shared, *TINY)
    status, output = session.end()
    assert status == pytest.ExitCode.OK, output
    assert [files_on(cluster, host, "cache") for host in ("h1", "h2")] == [[], []]
    session.check_that_nothing_is_left()
