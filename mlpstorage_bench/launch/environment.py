"""Detection of the launcher that started this process, from environment variables alone.

`mpi4py` is not imported here: importing it initialises MPI, which takes up to a second and is
unwanted in a process that is not a rank.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

LAUNCH_ID_VARIABLE = "MLPS_LAUNCH_ID"
"""Environment variable with the id of a launch by this plugin.

It starts the status lines of a rank, and marks each process of the launch.
"""


@dataclass(frozen=True)
class LauncherEnvironment:
    """Values that a launcher sets for each rank; None for those that it does not set."""

    launcher: str
    """Name of the launcher's family: `openmpi`, `hydra`, `srun` or `pals`."""
    rank: int
    size: int
    """Number of ranks that the launcher started."""
    local_rank: int | None = None
    """Number of this rank among the ranks of its host, from 0."""
    local_size: int | None = None
    """Number of ranks on this host."""
    host: str | None = None
    """The launcher's name for this host."""
    version: str | None = None
    """The launcher's version, as far as its variables show it."""


def detect_launcher(environ: Mapping[str, str]) -> LauncherEnvironment | None:
    """Return the launcher's values for this process; None when no launcher started it.

    Variables of several launchers can be set at once: inside a Slurm job, Open MPI and Hydra start
    their daemons by srun, and the ranks inherit the daemons' Slurm variables. So the variables that
    only one launcher sets are checked first.
    """
    if _is_rank(environ, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"):
        return _open_mpi(environ)
    has_pmi = _is_rank(environ, "PMI_RANK", "PMI_SIZE")
    if "MPI_LOCALNRANKS" in environ and has_pmi:
        return _hydra(environ)
    if _is_rank(environ, "PALS_RANKID", "PMI_SIZE"):
        return _pals(environ)
    if _is_slurm_step(environ):
        return _slurm(environ)
    if has_pmi and not _is_slurm_shell(environ):
        return _hydra(environ)
    return None


def _is_rank(environ: Mapping[str, str], rank: str, size: str) -> bool:
    """Whether both variables are there and fit: some that are left over tell of no rank."""
    number, ranks = _number(environ, rank), _number(environ, size)
    return number is not None and ranks is not None and number < ranks


def _open_mpi(environ: Mapping[str, str]) -> LauncherEnvironment:
    return LauncherEnvironment(
        "openmpi",
        rank=int(environ["OMPI_COMM_WORLD_RANK"]),
        size=int(environ["OMPI_COMM_WORLD_SIZE"]),
        local_rank=_number(environ, "OMPI_COMM_WORLD_LOCAL_RANK"),
        local_size=_number(environ, "OMPI_COMM_WORLD_LOCAL_SIZE"),
        host=environ.get("PMIX_HOSTNAME"),
        version=_open_mpi_version(environ),
    )


def _open_mpi_version(environ: Mapping[str, str]) -> str | None:
    """Return the version of Open MPI; version 4 only shows that it is 4."""
    if "PRTE_LAUNCHED" in environ:
        return environ.get("OMPI_VERSION", "5")
    return "4" if "OMPI_MCA_orte_launch" in environ else None


def _hydra(environ: Mapping[str, str]) -> LauncherEnvironment:
    return LauncherEnvironment(
        "hydra",
        rank=int(environ["PMI_RANK"]),
        size=int(environ["PMI_SIZE"]),
        local_rank=_number(environ, "MPI_LOCALRANKID"),
        local_size=_number(environ, "MPI_LOCALNRANKS"),
        host=environ.get("PMI_HOSTNAME"),
    )


def _pals(environ: Mapping[str, str]) -> LauncherEnvironment:
    """Read the variables that HPE's Common Tools Interface declares for applications (pals.h)."""
    return LauncherEnvironment(
        "pals",
        rank=int(environ["PALS_RANKID"]),
        size=int(environ["PMI_SIZE"]),
        local_rank=_number(environ, "PALS_LOCAL_RANKID"),
        local_size=_number(environ, "PMI_LOCAL_SIZE"),
    )


def _is_slurm_step(environ: Mapping[str, str]) -> bool:
    """Return whether this is one of several tasks of a step; MPI must then confirm their number.

    Slurm sets its task variables in every step and interactive shell, with or without MPI, so a
    single task does not count as a rank.
    """
    tasks = _number(environ, "SLURM_STEP_NUM_TASKS")
    is_task = _is_rank(environ, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS")
    return is_task and tasks is not None and tasks > 1


def _is_slurm_shell(environ: Mapping[str, str]) -> bool:
    """Return whether this is a single Slurm task; Slurm's plugin pmi2 sets PMI variables for it."""
    return "SLURM_PROCID" in environ and environ["PMI_SIZE"] == "1"


def _slurm(environ: Mapping[str, str]) -> LauncherEnvironment:
    return LauncherEnvironment(
        "srun",
        rank=int(environ["SLURM_PROCID"]),
        size=int(environ["SLURM_STEP_NUM_TASKS"]),
        local_rank=_number(environ, "SLURM_LOCALID"),
        local_size=_slurm_local_size(environ),
        host=environ.get("SLURMD_NODENAME"),
    )


def _slurm_local_size(environ: Mapping[str, str]) -> int | None:
    """Read this node's number of tasks from a list like `2(x3),1`: three nodes of 2, one of 1."""
    counts: list[int] = []
    for part in environ.get("SLURM_STEP_TASKS_PER_NODE", "").split(","):
        match = re.fullmatch(r"([0-9]{1,6})(?:\(x([0-9]{1,6})\))?", part)
        if match is None:
            return None
        counts += [int(match[1])] * int(match[2] or 1)
    node = _number(environ, "SLURM_NODEID")
    return counts[node] if node is not None and node < len(counts) else None


def _number(environ: Mapping[str, str], name: str) -> int | None:
    value = environ.get(name, "")
    return int(value) if re.fullmatch(r"[0-9]{1,9}", value) else None
