"""Which launcher started this process, read from the environment alone.

`mpi4py` is not imported here: importing it initialises MPI, which costs up to a second and is not
wanted in a process that is no rank.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class LauncherEnvironment:
    """What a launcher tells each rank that it starts; None for what it does not tell."""

    launcher: str
    """Name of the launcher's family: `openmpi`, `hydra`, `srun` or `pals`."""
    rank: int
    size: int
    """Number of ranks that the launcher started."""
    local_rank: int | None = None
    """Number of this rank among those of its host."""
    local_size: int | None = None
    """Number of ranks on this host."""
    host: str | None = None
    """What the launcher calls this host."""
    version: str | None = None
    """The launcher's version, as far as its variables tell it."""


def detect_launcher(environ: Mapping[str, str]) -> LauncherEnvironment | None:
    """Return what the launcher says of this process; None when no launcher started it.

    Variables of several can be there at once. Open MPI and Hydra start their daemons by srun inside
    a Slurm job, and then the ranks have Slurm's variables of the daemons: so what a launcher alone
    sets is looked for first.
    """
    if "OMPI_COMM_WORLD_SIZE" in environ:
        return _open_mpi(environ)
    if "MPI_LOCALNRANKS" in environ and "PMI_SIZE" in environ:
        return _hydra(environ)
    if "PALS_RANKID" in environ and "PMI_SIZE" in environ:
        return _pals(environ)
    if _is_slurm_step(environ):
        return _slurm(environ)
    if "PMI_SIZE" in environ and "PMI_RANK" in environ and not _is_slurm_shell(environ):
        return _hydra(environ)
    return None


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
    """Return what Open MPI 5 says of itself; 4 says nothing, but has variables of its own."""
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
    """Whether this is one of several tasks of a step; MPI must then confirm their number.

    Slurm sets its task variables in every step and in interactive shells, with MPI or without, so a
    single task is no rank.
    """
    tasks = _number(environ, "SLURM_STEP_NUM_TASKS")
    return "SLURM_PROCID" in environ and tasks is not None and tasks > 1


def _is_slurm_shell(environ: Mapping[str, str]) -> bool:
    """Whether this is a single task of Slurm's, for which its plugin pmi2 sets PMI's variables."""
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
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if match is None:
            return None
        counts += [int(match[1])] * int(match[2] or 1)
    node = _number(environ, "SLURM_NODEID")
    return counts[node] if node is not None and node < len(counts) else None


def _number(environ: Mapping[str, str], name: str) -> int | None:
    value = environ.get(name, "")
    return int(value) if value.isdecimal() else None
