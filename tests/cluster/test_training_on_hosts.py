"""Trainings with two ranks on each of two hosts: on storage of both, and on disks of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cluster.namespace_cluster import NamespaceCluster
from tests.cluster.sessions_on_hosts import environment, launching, places
from tests.mpis import MPIS
from tests.training.shortened import TEST, metadata_in
from tests.training.test_session import SMALL

pytestmark = [pytest.mark.hosts, pytest.mark.hosts_matrix, pytest.mark.launches_mpi]

WORKLOAD = [one for one in SMALL if "-dir=" not in one]


def test_ranks_of_hosts_read_the_data_that_all_made(
    cluster: NamespaceCluster, shared: Path
) -> None:
    (shared / "test_it.py").write_text(TEST)
    mpi = MPIS["open mpi 5"]()
    done = cluster.run(
        "h1",
        *launching(mpi, "h1:2,h2:2", cluster.agent, ranks=4),
        *(*WORKLOAD, "--mlps-results-dir=results", "--mlps-cache-dir=cache"),
        environment=environment(mpi),
        directory=shared,
    )
    assert done.returncode == 0, done.stdout
    assert "24 files with" in done.stdout
    (metadata,) = metadata_in(shared / "results")
    assert (metadata["num_processes"], metadata["hosts"]) == (4, ["h1", "h2"])
    (summary,) = (shared / "results").rglob("summary.json")
    content = json.loads(summary.read_text())
    assert (content["num_hosts"], content["num_accelerators"]) == (2, 4)


def test_data_on_a_disk_of_each_host_is_an_error(cluster: NamespaceCluster, shared: Path) -> None:
    (shared / "test_it.py").write_text(TEST)
    mpi = MPIS["open mpi 5"]()
    done = cluster.run(
        "h1",
        *launching(mpi, "h1:1,h2:1", cluster.agent),
        *(*WORKLOAD, *places(cluster)),
        environment=environment(mpi),
        directory=shared,
    )
    assert done.returncode != 0, done.stdout
    assert "it is not visible on this host. All hosts need the same files" in done.stdout
