"""The smallest run of each benchmark type with one rank on each of two hosts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlpstorage_bench import registry
from tests.cluster.namespace_cluster import NamespaceCluster
from tests.cluster.sessions_on_hosts import environment, launching
from tests.mpis import MPIS
from tests.types.project import Project
from tests.types.smallest import smallest
from tests.variants import first_of

pytestmark = [pytest.mark.hosts, pytest.mark.launches_mpi]


@pytest.mark.parametrize("name", first_of(*registry.names()))
def test_ranks_of_two_hosts_have_one_run_with_results_of_both(
    cluster: NamespaceCluster, shared: Path, name: str
) -> None:
    project = Project(shared, name, smallest(name))
    mpi = MPIS["open mpi 5"]()
    done = cluster.run(
        "h1",
        *launching(mpi, "h1:1,h2:1", cluster.agent),
        *project.smallest.options(name),
        environment=environment(mpi),
        directory=shared,
    )
    assert done.returncode == 0, done.stdout
    metadata = project.only()
    own = metadata["mlpstorage"]
    assert (own["status"], metadata["hosts"]) == ("passed", ["h1", "h2"])
    leaf = Path(metadata["result_dir"])
    ranks = [
        json.loads((leaf / file).read_text())["mlpstorage"] for file in own["files"] if "/" in file
    ]
    assert {(rank["rank"], rank["host"]) for rank in ranks} == {(0, "h1"), (1, "h2")}
    assert {case["ranks"] for case in own["metrics"].values()} == {2}
    assert project.left() == []
