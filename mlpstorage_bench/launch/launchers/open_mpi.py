"""Open MPI's mpirun: 4.1 (ORTE) and 5 (PRRTE)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Self

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.launch.launchers.launcher import TRANSPORT_OPTION, Launch

FIRST_WITH_PRRTE = 5
"""From this version on, shared memory is called sm, and vader no longer."""


@dataclass(frozen=True)
class OpenMpi:
    """Flags of mpirun(1) of Open MPI 4.1 and 5.0, where both agree."""

    version: str
    name: ClassVar[str] = "openmpi"
    may_queue: ClassVar[bool] = False

    @classmethod
    def recognise(cls, version_text: str) -> Self | None:
        """Know `mpirun (Open MPI) 5.0.11`, and `mpiexec (OpenRTE) 4.1.4`."""
        match = re.search(r"\((?:Open MPI|OpenRTE)\) (\d\S*)", version_text)
        return None if match is None else cls(match[1])

    @property
    def title(self) -> str:
        """What it calls itself, with its version."""
        return f"Open MPI {self.version}"

    @property
    def major(self) -> int:
        """The generation: its daemons do not talk to another one's."""
        return int(self.version.partition(".")[0])

    def prefix(self, binary: str, launch: Launch) -> list[str]:
        """Place ranks round-robin over hosts and leave them unbound (MLPerf Storage, rule 6.3.3).

        Slots are the ranks of each host. Uneven ones are filled host by host: by node, Open MPI 5
        does not map them, or with --oversubscribe maps them evenly all the same.
        """
        flags = launch.flags
        command = [binary, "-n", str(launch.layout.total), "-host", launch.hosts_with_ranks()]
        if not flags.speak_of("--bind-to"):
            command += ["--bind-to", "none"]
        if not flags.speak_of("--map-by"):
            is_even = len(set(launch.layout.ranks_by_host)) == 1
            command += ["--map-by", "node" if is_even else "slot"]
        if flags.oversubscribe:
            command.append("--oversubscribe")
        if flags.allow_run_as_root:
            command.append("--allow-run-as-root")
        command += self._transport(launch)
        if not flags.speak_of("--wdir", "--wd"):
            command += ["--wdir", launch.directory]
        for name in launch.exported:
            if not name.startswith("OMPI_"):  # mpirun sends its own to every rank
                command += ["-x", name]
        return [*command, *flags.extra]

    def notes(self, launch: Launch) -> list[str]:  # noqa: ARG002 - a flag for everything
        """Return nothing: Open MPI has a flag for everything that can be asked."""
        return []

    def _transport(self, launch: Launch) -> list[str]:
        """Choose the byte transfer layer, and the only messaging layer that makes use of one."""
        transport = launch.flags.transport
        if transport == "auto":
            return []
        if transport == "vader" and len(launch.layout.hosts) > 1:
            raise InvalidInputError(
                TRANSPORT_OPTION,
                "vader",
                "auto or tcp with several hosts",
                hint="vader is shared memory, which ends with a host",
            )
        if transport == "vader" and self.major >= FIRST_WITH_PRRTE:
            transport_name = "sm"
        else:
            transport_name = transport
        return ["--mca", "pml", "ob1", "--mca", "btl", f"{transport_name},self"]
