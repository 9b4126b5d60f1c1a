"""Open MPI's mpirun: 4.1 (ORTE) and 5 (PRRTE)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Self

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.launch.launchers.launcher import TRANSPORT_OPTION, Launch

FIRST_WITH_PRRTE = 5
"""First version in which shared memory is called sm instead of vader."""


@dataclass(frozen=True)
class OpenMpi:
    """Flags of mpirun(1) of Open MPI 4.1 and 5.0, where both agree."""

    version: str
    name: ClassVar[str] = "openmpi"
    may_queue: ClassVar[bool] = False

    @classmethod
    def recognise(cls, version_text: str) -> Self | None:
        """Recognise `mpirun (Open MPI) 5.0.11`, and `mpiexec (OpenRTE) 4.1.4`."""
        match = re.search(r"\((?:Open MPI|OpenRTE)\) (\d\S*)", version_text)
        return None if match is None else cls(match[1])

    @property
    def title(self) -> str:
        """The launcher's name and version."""
        return f"Open MPI {self.version}"

    @property
    def major(self) -> int:
        """Major version: daemons of different major versions are incompatible."""
        return int(self.version.partition(".")[0])

    def prefix(self, binary: str, launch: Launch) -> list[str]:
        """Place ranks round-robin over hosts and leave them unbound (MLPerf Storage, rule 6.3.3).

        Each host has as many slots as ranks. Uneven layouts are filled host by host: by node, Open
        MPI 5 fails to map them, or with --oversubscribe maps them evenly.
        """
        flags = launch.flags
        command = [binary, "-n", str(launch.layout.total), "-host", launch.hosts_with_ranks()]
        if not flags.include("--bind-to"):
            command += ["--bind-to", "none"]
        if not flags.include("--map-by"):
            is_even = len(set(launch.layout.ranks_by_host)) == 1
            command += ["--map-by", "node" if is_even else "slot"]
        if flags.oversubscribe:
            command.append("--oversubscribe")
        if flags.allow_run_as_root:
            command.append("--allow-run-as-root")
        command += self._transport(launch)
        if not flags.include("--wdir", "--wd"):
            command += ["--wdir", launch.directory]
        for name in launch.exported:
            if not name.startswith("OMPI_"):  # mpirun forwards these itself
                command += ["-x", name]
        return [*command, *flags.extra]

    def notes(self, launch: Launch) -> list[str]:  # noqa: ARG002 - the interface of Launcher
        """Return nothing: Open MPI has a flag for every option."""
        return []

    def _transport(self, launch: Launch) -> list[str]:
        """Return the byte transfer layer, and ob1, the only messaging layer that uses one."""
        transport = launch.flags.transport
        if transport == "auto":
            return []
        if transport == "vader" and len(launch.layout.hosts) > 1:
            raise InvalidInputError(
                TRANSPORT_OPTION,
                "vader",
                "auto or tcp with several hosts",
                hint="vader is shared memory, which works within one host only",
            )
        if transport == "vader" and self.major >= FIRST_WITH_PRRTE:
            transport_name = "sm"
        else:
            transport_name = transport
        return ["--mca", "pml", "ob1", "--mca", "btl", f"{transport_name},self"]
