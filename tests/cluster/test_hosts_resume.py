"""Resumption of a run over two hosts, one of whose ranks was killed in a pause."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.namespace_cluster import NamespaceCluster
from tests.cluster.sessions_on_hosts import (
    PYTEST,
    TINY,
    environment,
    launching,
    metadata_on,
    places,
)
from tests.mpis import Mpi

pytestmark = [pytest.mark.hosts, pytest.mark.hosts_matrix, pytest.mark.launches_mpi]
DELAYS = {"before_trial": 0.2, "after_trial": 0.15, "between_workloads": 0.1}
TRIAL = ("pause_before_trial", "cache_emptied", "trial", "pause_after_trial")
TESTS = """
import pytest

@pytest.mark.parametrize("workload", ["1", "3"])
def test_it(kvcache, workload):
    kvcache.run(workload)
"""
CONFTEST = """
import os, signal
from pathlib import Path

from mlpstorage_bench.trial.sequence import StepLog

record, calls = StepLog.record, []

def killed(self, step, trial):
    calls.append(step)
    is_here = os.environ.get("PMI_RANK") == "1" and Path("kill").exists()
    if is_here and calls.count("pause_after_trial") == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return record(self, step, trial)

StepLog.record = killed
"""
"""Kills rank 1 in the pause after the last trial of the first workload, while `kill` exists."""


@pytest.mark.parametrize("mpi_name", ["mpich"])
def test_run_over_two_hosts_keeps_the_pause_in_which_a_rank_was_killed(
    mpi: Mpi, cluster: NamespaceCluster, shared: Path
) -> None:
    (shared / "conftest.py").write_text(CONFTEST)
    (shared / "test_it.py").write_text(TESTS)
    (shared / "kill").touch()
    delays = [f"--mlps-set=delay_{name}={seconds}" for name, seconds in DELAYS.items()]
    killed = cluster.run(
        "h1",
        *launching(mpi, "h1,h2", cluster.agent),
        *(*TINY, *places(cluster), *delays, "--mlps-trials=2", "--mlps-grace=10"),
        environment=environment(mpi),
        directory=shared,
    )
    assert killed.returncode != 0, killed.stdout
    before = metadata_on(cluster, "h1")
    (shared / "kill").unlink()
    run_id = before["mlpstorage"]["run_id"]
    resumed = cluster.run(
        "h1",
        *(*PYTEST, f"--mlps-results-dir={cluster.private}/results", f"--mlps-resume={run_id}"),
        environment=environment(mpi),
        directory=shared,
    )
    assert resumed.returncode == 0, resumed.stdout
    after = metadata_on(cluster, "h1")
    assert after["hosts"] == ["h1", "h2"]
    steps = after["mlpstorage"]["sequence"]["steps"]
    assert [one["step"] for one in steps] == [*TRIAL * 2, "pause_between_options", *TRIAL * 2]
    lengths = {"pause_between_options": DELAYS["between_workloads"]}
    lengths |= {f"pause_{name}": DELAYS[name] for name in ("before_trial", "after_trial")}
    for step in steps:
        assert step["seconds"] >= lengths.get(step["step"], 0.0)
    parts = after["mlpstorage"]["resumed"]["parts"]
    assert [part["status"] for part in parts] == ["died", "passed"]
