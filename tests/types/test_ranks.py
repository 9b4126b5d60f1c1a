"""Two ranks of each type under mpirun: one run, and results of both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import mpirun
from tests.types.harm import harm
from tests.types.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.launches_mpi]

RANKS = 2


def test_two_ranks_have_one_run_with_results_of_both(project: Project) -> None:
    project.run(launcher=mpirun(RANKS)).passed()
    metadata = project.only()
    own = metadata["mlpstorage"]
    assert (metadata["num_processes"], metadata["exec_type"]) == (RANKS, "mpi")
    assert (metadata["exit_status"], own["status"]) == (0, "passed")
    leaf = Path(metadata["result_dir"])
    of_ranks = [
        json.loads((leaf / name).read_text())["mlpstorage"]["rank"]
        for name in own["files"]
        if "/" in name
    ]
    trials = sum(len(case["trials"]) for case in own["cases"].values())
    assert sorted(of_ranks) == sorted([*range(RANKS)] * trials)
    for case in own["metrics"].values():
        assert (case["ranks"], case["corrupt_reads"]) == (RANKS, 0)
    assert project.left() == []


@pytest.mark.long
def test_harm_to_the_data_of_two_ranks_ends_both(project: Project) -> None:
    harm(project, "remove")
    session = project.run(launcher=mpirun(RANKS))
    assert session.status != 0
    assert "(ENOENT)" in session.output
    assert project.only()["mlpstorage"]["status"] == "failed"
    assert project.left() == []
