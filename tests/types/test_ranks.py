"""Two ranks of each type under mpirun: one run, and results of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.measure.operation_statistics import STORAGE_TIER
from tests.conftest import mpirun
from tests.types.harm import harm
from tests.types.project import Project
from tests.variants import first_of

pytestmark = [pytest.mark.slow, pytest.mark.launches_mpi]

RANKS = 2
KINDS = ("read", "write")


@pytest.mark.parametrize("type_name", first_of(*registry.names()), indirect=True)
def test_two_ranks_have_one_run_with_results_of_both(project: Project) -> None:
    project.run(launcher=mpirun(RANKS)).passed()
    metadata = project.only()
    own = metadata["mlpstorage"]
    assert (metadata["num_processes"], metadata["exec_type"]) == (RANKS, "mpi")
    assert (metadata["exit_status"], own["status"]) == (0, "passed")
    leaf = Path(metadata["result_dir"])
    of_ranks = [
        json.loads((leaf / name).read_text())["mlpstorage"] for name in own["files"] if "/" in name
    ]
    trials = sum(len(case["trials"]) for case in own["cases"].values())
    assert sorted(one["rank"] for one in of_ranks) == sorted([*range(RANKS)] * trials)
    for one in of_ranks:
        assert bytes_by_second(one) == bytes_of_operations(one)
    for case in own["metrics"].values():
        assert (case["ranks"], case["corrupt_reads"]) == (RANKS, 0)
    assert project.left() == []


def bytes_by_second(rank: dict[str, Any]) -> dict[str, int]:
    """Return what a rank's series has moved from and to storage in its window."""
    (window,) = [one for one in rank["time_series"]["phases"] if one["phase"] == "window"]
    return {kind: sum(window[f"{kind}_bytes"]) for kind in KINDS}


def bytes_of_operations(rank: dict[str, Any]) -> dict[str, int]:
    """Return what a rank's operations have moved from and to storage in its window."""
    moved = dict.fromkeys(KINDS, 0)
    for one in rank["histograms"]["operations"]:
        if one["tier"] == STORAGE_TIER:
            moved[one["kind"]] += one["moved_bytes"]
    return moved


@pytest.mark.long
def test_harm_to_the_data_of_two_ranks_ends_both(project: Project) -> None:
    harm(project, "remove")
    session = project.run(launcher=mpirun(RANKS))
    assert session.status != 0
    assert "(ENOENT)" in session.output
    assert project.only()["mlpstorage"]["status"] == "failed"
    assert project.left() == []
