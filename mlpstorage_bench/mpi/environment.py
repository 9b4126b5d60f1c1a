"""Which launcher started this process, read from the environment alone.

`mpi4py` is not imported here: importing it initialises MPI, which costs up to a second and is not
wanted in a process that is no rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class LauncherEnvironment:
    """What a launcher tells each rank that it starts."""

    launcher: str
    """Name of the launcher's family: `openmpi`, `hydra` or `srun`."""
    rank: int
    size: int
    """Number of ranks that the launcher started."""


def detect_launcher(environ: Mapping[str, str]) -> LauncherEnvironment | None:
    """Return what the launcher says of this process; None when no launcher started it.

    Slurm sets its task variables in every step and in interactive shells, with MPI or without, so a
    single Slurm task is no rank. Several tasks are: MPI must then confirm their number.
    """
    if "OMPI_COMM_WORLD_SIZE" in environ:
        return _launched("openmpi", environ, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")
    if _is_slurm_step(environ):
        return _launched("srun", environ, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS")
    if "PMI_SIZE" in environ and "PMI_RANK" in environ:
        return _launched("hydra", environ, "PMI_RANK", "PMI_SIZE")
    return None


def _is_slurm_step(environ: Mapping[str, str]) -> bool:
    tasks = environ.get("SLURM_STEP_NUM_TASKS", "")
    return "SLURM_PROCID" in environ and tasks.isdigit() and int(tasks) > 1


def _launched(
    launcher: str, environ: Mapping[str, str], rank: str, size: str
) -> LauncherEnvironment:
    return LauncherEnvironment(launcher, int(environ[rank]), int(environ[size]))
