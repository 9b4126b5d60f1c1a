"""Checks that the launcher and the MPI library loaded by mpi4py belong to the same MPI.

Each may be installed by a package, a module or the system. A launcher of one MPI starts ranks of
another MPI as separate sessions of one rank each, and all of them succeed.
"""

from __future__ import annotations

import os
import re

from mlpstorage_bench.errors import LaunchError, MlpsError
from mlpstorage_bench.launch.command import LAUNCHER_VARIABLE, launching_ancestor
from mlpstorage_bench.launch.environment import LauncherEnvironment
from mlpstorage_bench.launch.launchers.installed import identify
from mlpstorage_bench.launch.launchers.launcher import Launcher
from mlpstorage_bench.launch.launchers.open_mpi import OpenMpi

_FAMILY_OF_LIBRARY = {"openmpi": "Open MPI", "hydra": "MPICH"}
"""Launchers that only start ranks of one family of libraries; srun and PALS start any."""

_MPICH_AND_KIN = re.compile(r"MPICH|Intel\(R\) MPI|MVAPICH", re.IGNORECASE)
"""Libraries that use Hydra's protocol."""

_REMEDY = {
    "srun": "Choose the protocol of the library (srun --mpi=list shows the available ones): "
    "--mlps-mpi-params='--mpi=pmix'",
    "pals": "Choose the protocol of the library: --mlps-mpi-params='--pmi=pmix', or cray",
}
_OTHER_REMEDY = (
    "Use that library's own mpirun (--mlps-mpi-bin), or let mpi4py load the launcher's library: "
    "install it in this Python environment, or set the variable MPI4PY_LIBMPI to its path"
)


def check_library(launcher: LauncherEnvironment, library: str) -> None:
    """Raise LaunchError if the library is known to belong to another MPI than the launcher.

    To be called before MPI is initialised: some libraries abort then, without a message.
    """
    if not _fits(launcher.launcher, launcher.version, library):
        raise LaunchError(
            f"The ranks were started by {launcher_title(launcher)}, but mpi4py loads "
            f"{library_title(library)}: each rank would be a session of its own. "
            f"{_OTHER_REMEDY}"
        )


def belong_together(launcher: Launcher, library: str) -> bool:
    """Whether an installed launcher can start ranks of this library, as far as it is known."""
    version = launcher.version if isinstance(launcher, OpenMpi) else None
    return _fits(launcher.name, version, library)


def _fits(launcher: str, version: str | None, library: str) -> bool:
    family = _FAMILY_OF_LIBRARY.get(launcher)
    is_other_family = (family == "Open MPI" and not library.startswith("Open MPI")) or (
        family == "MPICH" and not _MPICH_AND_KIN.search(library)
    )
    major = re.match(r"Open MPI v(\d+)", library)
    generation = (version or "").partition(".")[0]
    is_other_generation = bool(generation) and major is not None and major[1] != generation
    return not (is_other_family or is_other_generation)


def check_size(launcher: LauncherEnvironment, library: str, size: int) -> None:
    """Raise LaunchError if MPI has another number of ranks than the launcher started."""
    if size != launcher.size:
        raise LaunchError(
            f"{launcher_title(launcher)} started {launcher.size} ranks, but mpi4py's "
            f"{library_title(library)} sees {size}: their protocols differ. "
            f"{_REMEDY.get(launcher.launcher, _OTHER_REMEDY)}"
        )


def library_title(library: str) -> str:
    """Return name and version from an MPI library's version text."""
    words = re.sub(r"\s+", " ", library.replace("\0", " ")).strip()
    match = re.search(
        r"(Open MPI) v([\w.]+)|(MPICH) Version: ([\w.]+)|(CRAY MPICH) version (\S+)", words
    )
    if match is None:
        return words.split(",")[0][:80]
    return " ".join(part for part in match.groups() if part)


def launcher_title(launcher: LauncherEnvironment) -> str:
    """Return the launcher's name, with its version if that is known."""
    title = os.environ.get(LAUNCHER_VARIABLE)
    if title is not None:
        return title
    names = {"openmpi": "Open MPI", "hydra": "Hydra", "srun": "srun", "pals": "PALS"}
    name = names[launcher.launcher]
    if launcher.version is not None and "." in launcher.version:
        return f"{name} {launcher.version}"
    ancestor = launching_ancestor()
    if ancestor is not None:
        try:
            return identify(ancestor[0]).title
        except MlpsError:
            pass  # then the version that its variables show
    return name if launcher.version is None else f"{name} {launcher.version}"
