"""MPIs of the tests: pairs of launcher and library, independent of each other."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlpstorage_bench.errors import LaunchError
from mlpstorage_bench.launch.launchers.installed import find_binary

MPICH_HOME = Path(sys.prefix) / "mpich"
"""Directory where `make test` installs MPICH, outside of the Python environment."""


@dataclass(frozen=True)
class Mpi:
    """A launcher, and the variables by which mpi4py loads the matching library.

    All share one Python environment: mpi4py loads any library by its path.
    """

    name: str
    family: str
    binary: str
    library: Path | None
    agent: str
    """Launcher options for the program that replaces ssh."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def switches(self) -> list[str]:
        """Options to start more ranks than cores, also as root."""
        as_root = ["--mlps-allow-run-as-root"] if os.geteuid() == 0 else []
        return [f"--mlps-mpi-bin={self.binary}", "--mlps-oversubscribe", *as_root]

    def by_hand(self, ranks: int) -> list[str]:
        """Return the command by which a user starts ranks."""
        if self.family == "hydra":
            return [self.binary, "-n", str(ranks)]
        as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
        return [self.binary, "-n", str(ranks), "--oversubscribe", "--bind-to", "none", *as_root]

    def on_hosts(self, hosts: str, ranks: int, agent: Path) -> list[str]:
        """Return the command by which a user starts ranks on hosts, as `name:ranks,name:ranks`."""
        given = self.agent.format(agent).split()
        if self.family == "srun":
            names = [host.partition(":")[0] for host in hosts.split(",")]
            spread = [f"--nodelist={','.join(names)}", f"--nodes={len(names)}"]
            return [self.binary, *given, f"--ntasks={ranks}", *spread, "--distribution=block"]
        if self.family == "hydra":
            return [self.binary, *given, "-hosts", hosts, "-n", str(ranks)]
        exports = [word for name in self.environment for word in ("-x", name)]
        return [*self.by_hand(ranks), *given, "--host", hosts, *exports]


def open_mpi_5() -> Mpi:
    """Return the Open MPI of the Python environment; skip if there is none."""
    try:
        binary = find_binary(None)
    except LaunchError as error:
        pytest.skip(str(error))
    return Mpi("Open MPI 5", "openmpi", binary, None, "--prtemca plm_ssh_agent {}")


def open_mpi_4() -> Mpi:
    """Return the Open MPI 4.1 of the distribution; skip if it is not installed."""
    binary = Path("/usr/bin/mpirun.openmpi")
    libraries = sorted(Path("/usr/lib").glob("*/libmpi.so.40"))
    if not binary.exists() or not libraries:
        pytest.skip("needs Open MPI 4.1 of Debian or Ubuntu: apt-get install openmpi-bin")
    variables = {"MPI4PY_LIBMPI": str(libraries[0])}
    agent = "--mca plm_rsh_agent {}"
    return Mpi("Open MPI 4.1", "openmpi", str(binary), libraries[0], agent, variables)


def mpich() -> Mpi:
    """Return the MPICH of the wheel in its own directory; skip if it is not installed."""
    binary, library = MPICH_HOME / "bin/mpirun", MPICH_HOME / "lib/libmpi.so.12"
    if not binary.exists():
        pytest.skip(f"needs MPICH: pip install --prefix {MPICH_HOME} mpich (make test does)")
    variables = {"MPI4PY_LIBMPI": str(library)}
    return Mpi("MPICH", "hydra", str(binary), library, "-launcher-exec {}", variables)


MPIS = {"open mpi 5": open_mpi_5, "open mpi 4.1": open_mpi_4, "mpich": mpich}
