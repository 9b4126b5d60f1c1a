"""Sessions started inside a Slurm job: from its shell, and from a step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cluster.namespace_cluster import NamespaceCluster
from tests.cluster.sessions_on_hosts import environment, facts_in, launching
from tests.cluster.slurm import Slurm

pytestmark = [pytest.mark.hosts_matrix, pytest.mark.launches_mpi]

TESTS = """
import json, socket
from pathlib import Path

def test_facts(mpi_comm):
    facts = dict(host=socket.gethostname())
    Path(f"facts-{mpi_comm.rank}.json").write_text(json.dumps(facts))
"""


JOB = ("salloc", "--nodes=2", "--ntasks=2", "--nodelist=h1,h2")
STEP = ("srun", "--ntasks=1", "--nodes=1", "--nodelist=h1", "--mpi=pmi2")


@pytest.mark.parametrize("job", [JOB, (*JOB, *STEP)], ids=["job", "step"])
def test_ranks_start_inside_a_slurm_job(
    slurm: Slurm, cluster: NamespaceCluster, shared: Path, job: Sequence[str]
) -> None:
    (shared / "test_it.py").write_text(TESTS)
    mpi = slurm.starts("open mpi 5")
    done = cluster.run(
        *("h1", *job, *launching(mpi, "h1,h2", cluster.agent, ranks=4)),
        environment=environment(mpi),
        directory=shared,
    )
    assert done.returncode == 0, done.stdout
    assert [rank["host"] for rank in facts_in(shared)] == ["h1", "h1", "h2", "h2"]
