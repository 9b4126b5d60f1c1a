from __future__ import annotations

import pytest

from mlpstorage_bench.launch.environment import LauncherEnvironment, detect_launcher

OPEN_MPI = {
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "3",
    "PMIX_RANK": "3",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
}
HYDRA = {
    "PMI_SIZE": "8",
    "PMI_RANK": "5",
    "PMI_HOSTNAME": "h2",
    "MPI_LOCALNRANKS": "4",
    "MPI_LOCALRANKID": "1",
}
SRUN = {
    "SLURM_PROCID": "6",
    "SLURM_STEP_NUM_TASKS": "7",
    "SLURM_LOCALID": "0",
    "SLURM_STEP_TASKS_PER_NODE": "2(x3),1",
    "SLURM_NODEID": "3",
    "SLURMD_NODENAME": "n3",
}
PALS = {
    "PALS_RANKID": "1",
    "PALS_LOCAL_RANKID": "1",
    "PALS_NODEID": "0",
    "PMI_RANK": "1",
    "PMI_SIZE": "2",
    "PMI_LOCAL_SIZE": "2",
    "PMI_LOCAL_RANK": "1",
}
SLURM_SHELL = {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}
SLURM_OF_A_DAEMON = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": "0"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            {**OPEN_MPI, "PRTE_LAUNCHED": "1", "PMIX_HOSTNAME": "h1", "OMPI_VERSION": "5.0.11"},
            LauncherEnvironment("openmpi", 3, 4, 1, 2, "h1", "5.0.11"),
        ),
        (
            {**OPEN_MPI, "OMPI_MCA_orte_launch": "1"},
            LauncherEnvironment("openmpi", 3, 4, 1, 2, None, "4"),
        ),
        (HYDRA, LauncherEnvironment("hydra", 5, 8, 1, 4, "h2")),
        ({"PMI_SIZE": "8", "PMI_RANK": "0"}, LauncherEnvironment("hydra", 0, 8)),
        (SRUN, LauncherEnvironment("srun", 6, 7, 0, 1, "n3")),
        (
            {**SRUN, "PMI_RANK": "6", "PMI_SIZE": "7"},
            LauncherEnvironment("srun", 6, 7, 0, 1, "n3"),
        ),
        (
            {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"},
            LauncherEnvironment("srun", 1, 2),
        ),
        (PALS, LauncherEnvironment("pals", 1, 2, 1, 2)),
        ({**OPEN_MPI, **SLURM_OF_A_DAEMON}, LauncherEnvironment("openmpi", 3, 4, 1, 2)),
        ({**HYDRA, **SLURM_OF_A_DAEMON}, LauncherEnvironment("hydra", 5, 8, 1, 4, "h2")),
        (
            {**SLURM_SHELL, "PMI_SIZE": "8", "PMI_RANK": "5"},
            LauncherEnvironment("hydra", 5, 8),
        ),
        (
            {**SLURM_SHELL, "PMI_SIZE": "1", "PMI_RANK": "0", "MPI_LOCALNRANKS": "1"},
            LauncherEnvironment("hydra", 0, 1, None, 1),
        ),
    ],
    ids=[
        *("open mpi 5", "open mpi 4", "hydra", "hydra of old", "srun", "srun with pmi2"),
        *("srun that tells little", "pals", "mpirun in a slurm job", "hydra in a slurm job"),
        *("hydra of old in a slurm shell", "one rank of hydra in a slurm shell"),
    ],
)
def test_launcher_is_detected_from_its_variables(
    environ: dict[str, str], expected: LauncherEnvironment
) -> None:
    assert detect_launcher(environ) == expected


@pytest.mark.parametrize(
    ("tasks", "node", "expected"),
    [("4", "0", 4), ("2(x3),1", "2", 2), ("2(x3),1", "4", None), ("", "0", None), ("x", "0", None)],
)
def test_slurm_task_list_gives_this_nodes_task_count(
    tasks: str, node: str, expected: int | None
) -> None:
    environ = {**SRUN, "SLURM_STEP_TASKS_PER_NODE": tasks, "SLURM_NODEID": node}
    launcher = detect_launcher(environ)
    assert launcher is not None
    assert launcher.local_size == expected


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"},
        SLURM_SHELL,
        {**SLURM_SHELL, "PMI_SIZE": "1", "PMI_RANK": "0", "PMI_FD": "9"},
        {"OMPI_COMM_WORLD_SIZE": "4"},
        {"OMPI_COMM_WORLD_SIZE": "four", "OMPI_COMM_WORLD_RANK": "0"},
        {"PMI_SIZE": "4", "MPI_LOCALNRANKS": "4"},
        {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": ""},
        {"OMPI_COMM_WORLD_SIZE": "9" * 5000, "OMPI_COMM_WORLD_RANK": "0"},
        {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "2"},
    ],
    ids=[
        *("nothing", "slurm batch script", "slurm shell", "slurm shell with pmi2"),
        *("no rank of open mpi", "size that is no number", "no rank of hydra", "no rank of srun"),
        *("size of many digits", "rank beyond the size"),
    ],
)
def test_process_without_launcher_is_no_rank(environ: dict[str, str]) -> None:
    assert detect_launcher(environ) is None
