"""Parents without ranks on their host, and hosts that share temporary files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cluster.failing_sessions import Session
from tests.cluster.namespace_cluster import NamespaceCluster
from tests.failures.running import check_end, check_results, options_of, write_files
from tests.failures.scenarios import SCENARIOS
from tests.mpis import MPIS

pytestmark = [pytest.mark.hosts, pytest.mark.launches_mpi]

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def host_of(rank: int) -> str:
    return f"h{rank + 1}"


@pytest.mark.hosts_matrix
@pytest.mark.parametrize(
    "name", ["mpich", pytest.param("open mpi 5", marks=pytest.mark.hosts_matrix)]
)
def test_rank_exit_is_reported_with_shared_temporary_directory(
    name: str, cluster: NamespaceCluster, shared: Path, tmp_path: Path
) -> None:
    """A rank on another host then sees the parent's directory, without being its process."""
    scenario = BY_NAME["os._exit"]
    write_files(shared, scenario, 1, None)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    variables = {"TMPDIR": str(scratch)}
    session = Session(cluster, MPIS[name](), shared, *options_of(scenario), variables=variables)
    status, output = session.end()
    check_end(scenario, 1, host_of, status, output)
    session.check_that_nothing_is_left()


@pytest.mark.parametrize("rank", [0, pytest.param(1, marks=pytest.mark.hosts_matrix)])
@pytest.mark.parametrize(
    "name", ["mpich", pytest.param("open mpi 5", marks=pytest.mark.hosts_matrix)]
)
def test_run_with_all_ranks_on_other_hosts_is_recorded_as_died(
    name: str, rank: int, cluster: NamespaceCluster, shared: Path
) -> None:
    scenario = BY_NAME["killed"]
    write_files(shared, scenario, rank, None)
    results = f"--mlps-results-dir={shared}/results"
    session = Session(cluster, MPIS[name](), shared, *options_of(scenario), results, host="h3")
    status, output = session.end()
    check_end(scenario, rank, host_of, status, output)
    session.check_that_nothing_is_left()
    (metadata,) = (shared / "results").rglob("*_metadata.json")
    check_results(json.loads(metadata.read_text()), scenario, output)
