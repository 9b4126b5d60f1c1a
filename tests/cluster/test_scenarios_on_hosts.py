"""The scenarios of docs/failures.md with one rank on each of two hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.process.stderr import ABORT_STATUS
from tests.cluster.failing_sessions import Session
from tests.cluster.namespace_cluster import NamespaceCluster
from tests.cluster.sessions_on_hosts import files_on, metadata_on
from tests.cluster.slurm import BY_SLURM
from tests.cluster.waiting import wait_until
from tests.conftest import MemoryGroup
from tests.failures.running import (
    TEST_MPIS,
    check_end,
    check_results,
    check_time,
    options_of,
    scenario_matrix,
    send_from_outside,
    write_files,
)
from tests.failures.scenario import Scenario
from tests.failures.scenarios import SCENARIOS
from tests.mpis import Mpi

pytestmark = [pytest.mark.hosts, pytest.mark.launches_mpi]

ALWAYS = (("killed", "open mpi 5", 1), ("full disk", "mpich", 1))
RUNS = scenario_matrix(
    pytest.mark.hosts_matrix,
    lambda one, mpi, rank: (one.name, mpi, rank) in ALWAYS,
    [one for one in SCENARIOS if one.under == "pytest" or not one.outside],
    (*TEST_MPIS, f"mpich{BY_SLURM}"),
)


def host_of(rank: int) -> str:
    return f"h{rank + 1}"


@pytest.fixture
def needed(
    request: pytest.FixtureRequest, scenario: Scenario, rank: int, cluster: NamespaceCluster
) -> Path | None:
    """Give the resource that a scenario needs, on the host of the acting rank."""
    if scenario.needs == "small disk":
        cache = cluster.private / "cache"  # the path has to exist on all hosts
        for host in (host_of(0), host_of(1)):
            cluster.do(host, "mkdir", str(cache))
        cluster.mount(host_of(rank), cache, "-t", "tmpfs", "-o", "size=64m", "tmpfs")
        return cache
    if scenario.needs == "memory group":
        group: MemoryGroup = request.getfixturevalue("memory_group")
        return group.path
    return None


def act_from_outside(scenario: Scenario, session: Session, folder: Path) -> float:
    wait_until(lambda: len(list(folder.glob("ready-*"))) == 2)
    return send_from_outside(scenario.outside, session.parent())


@pytest.mark.parametrize(("scenario", "mpi_name", "rank"), [*RUNS])
def test_failure_scenario_over_hosts_keeps_its_contract(
    scenario: Scenario,
    mpi: Mpi,
    rank: int,
    needed: Path | None,
    cluster: NamespaceCluster,
    shared: Path,
) -> None:
    write_files(shared, scenario, rank, needed)
    is_by_hand = scenario.under != "pytest"
    session = Session(cluster, mpi, shared, *options_of(scenario), is_by_hand=is_by_hand)
    acted_s = None
    if scenario.outside:
        acted_s = act_from_outside(scenario, session, shared)
    status, output = session.end()
    check_time(scenario, shared, acted_s, output)
    check_end(scenario, rank, host_of, status, output)
    ends_by_itself = scenario.status != ABORT_STATUS and scenario.bound != "grace"
    is_killed_by_slurm = mpi.family == "srun" and not ends_by_itself
    session.check_that_nothing_is_left(cache_may_stay=is_killed_by_slurm)
    if not scenario.run_status:
        assert not [name for host in ("h1", "h2") for name in files_on(cluster, host, "results")]
    else:
        metadata = metadata_on(cluster, "h1")
        if not scenario.has_parent and metadata["mlpstorage"]["status"] == "running":
            metadata["mlpstorage"]["status"] = "died"  # as the history shows it on that host
        check_results(metadata, scenario, output)
