"""Hosts that lose their network: no launcher notices, and the limit for tests ends the run.

Without `--mlps-timeout`, a disconnected host cannot be distinguished from a slow one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.failing_sessions import Session
from tests.cluster.namespace_cluster import NamespaceCluster
from tests.cluster.sessions_on_hosts import metadata_on
from tests.mpis import MPIS

pytestmark = [pytest.mark.hosts, pytest.mark.launches_mpi]

LIMITS = ("--mlps-timeout=20", "--mlps-grace=2")
ABORTED = 86


def in_stack_of(rank: str, output: str) -> bool:
    """Return whether a rank printed its stack in the test."""
    shown = output.partition(f"taken longer than --mlps-timeout 20 s. {rank} ")[2]
    return " in test_long\n" in shown


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["mpich", pytest.param("open mpi 5", marks=pytest.mark.hosts_matrix)]
)
def test_broken_link_ends_the_run_at_its_limit(
    name: str, cluster: NamespaceCluster, shared: Path
) -> None:
    session = Session.measuring(cluster, MPIS[name](), shared, *LIMITS)
    session.wait_for_files()
    with cluster.cut_off("h2"):
        status, output = session.end()
        assert status == ABORTED, output
        assert "test_it.py::test_long has taken longer than --mlps-timeout 20 s" in output
        assert "the launcher does not end" in output
        assert output.partition("no status from ")[2].startswith("rank 1 on h2")
        assert in_stack_of("Rank 0 on h1", output)
        session.check_that_no_rank_is_left()
        assert metadata_on(cluster, "h1")["mlpstorage"]["status"] in ("failed", "died")
    cluster.kill_all()  # daemons of the disconnected host, which could not be reached


@pytest.mark.hosts_matrix
@pytest.mark.parametrize("name", ["mpich", "open mpi 5"])
def test_disconnected_host_of_rank_0_is_named(
    name: str, cluster: NamespaceCluster, shared: Path
) -> None:
    """The parent only receives the exit of the other rank, which is a consequence."""
    session = Session.measuring(cluster, MPIS[name](), shared, *LIMITS, host="h3")
    session.wait_for_files()
    with cluster.cut_off("h1"):
        status, output = session.end()
        assert status == ABORTED, output
        assert output.partition("no status from ")[2].startswith("rank 0 on h1")
        assert in_stack_of("Rank 1 on h2", output)
        session.check_that_no_rank_is_left()
        assert metadata_on(cluster, "h1")["mlpstorage"]["status"] in ("failed", "died")
    cluster.kill_all()  # daemons of the disconnected host, which could not be reached


@pytest.mark.hosts_matrix
def test_killed_mpich_daemon_ends_the_run_at_its_limit(
    cluster: NamespaceCluster, shared: Path
) -> None:
    session = Session.measuring(cluster, MPIS["mpich"](), shared, *LIMITS)
    session.wait_for_files()
    session.kill_daemon("h2")
    status, output = session.end()
    assert status == ABORTED, output
    assert "test_it.py::test_long has taken longer than --mlps-timeout 20 s" in output
    assert in_stack_of("Rank 0 on h1", output)
    assert metadata_on(cluster, "h1")["mlpstorage"]["status"] in ("failed", "died")
    session.check_that_nothing_is_left()
