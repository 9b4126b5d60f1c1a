from __future__ import annotations

import pytest

from mlpstorage_bench.mpi.environment import LauncherEnvironment, detect_launcher


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3", "PMIX_RANK": "3"},
            LauncherEnvironment("openmpi", 3, 4),
        ),
        ({"PMI_SIZE": "8", "PMI_RANK": "0"}, LauncherEnvironment("hydra", 0, 8)),
        (
            {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "PMI_RANK": "1", "PMI_SIZE": "2"},
            LauncherEnvironment("srun", 1, 2),
        ),
        (
            {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0", "SLURM_PROCID": "0"},
            LauncherEnvironment("openmpi", 0, 2),
        ),
    ],
    ids=["open mpi", "hydra", "srun", "mpirun in a slurm job"],
)
def test_a_launcher_is_told_by_its_variables(
    environ: dict[str, str], expected: LauncherEnvironment
) -> None:
    assert detect_launcher(environ) == expected


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"},
        {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"},
    ],
    ids=["nothing", "slurm batch script", "slurm shell"],
)
def test_a_process_that_no_launcher_started_is_no_rank(environ: dict[str, str]) -> None:
    assert detect_launcher(environ) is None
