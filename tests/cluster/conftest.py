"""Fixtures of the cluster of three hosts, for tests marked `hosts`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import slurm as slurm_on_hosts
from tests.cluster.namespace_cluster import NamespaceCluster, command_of, remains, why_not
from tests.cluster.slurm import BY_SLURM, Slurm
from tests.cluster.waiting import PATIENCE_S
from tests.mpis import MPIS, Mpi


@pytest.fixture(scope="session")
def _hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamespaceCluster]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    made = NamespaceCluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.close()
    assert remains(made.folder) == []


@pytest.fixture
def cluster(_hosts: NamespaceCluster) -> Iterator[NamespaceCluster]:
    """Give the cluster; a test starts with an empty `private` and must leave no process."""
    yield _hosts
    left = _still_running_after(PATIENCE_S, _hosts)
    _hosts.reset()
    assert left == [], "processes are left on the hosts"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory shared by all hosts, whose name needs shell quoting."""
    folder = tmp_path / "my  tests ü"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    return folder


@pytest.fixture
def slurm(cluster: NamespaceCluster) -> Iterator[Slurm]:
    """Run Slurm on the three hosts; skip if it is not installed."""
    reason = slurm_on_hosts.why_not()
    if reason:
        pytest.skip(reason)
    with slurm_on_hosts.running(cluster) as running:
        yield running


@pytest.fixture
def mpi(request: pytest.FixtureRequest, mpi_name: str) -> Mpi:
    """Give the launcher: an MPI's own, or Slurm's."""
    name, by_slurm, _ = mpi_name.partition(BY_SLURM)
    if by_slurm:
        slurm: Slurm = request.getfixturevalue("slurm")
        return slurm.starts(name)
    return MPIS[name]()


def _still_running_after(patience_s: float, cluster: NamespaceCluster) -> list[str]:
    deadline = time.monotonic() + patience_s
    while True:
        left = [f"{process.pid} {' '.join(command_of(process))}" for process in cluster.processes()]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)
