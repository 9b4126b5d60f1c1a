"""HPE Cray's PALS mpiexec: the Parallel Application Launch Service."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Self

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.launch.hosts import HOSTS_OPTION
from mlpstorage_bench.launch.launchers.launcher import (
    Launch,
    refuse_transport,
    unsupported_flag_notes,
)

_USER_VARIABLES = ("HOME", "USER")
"""Variables that a remote shell sets and PALS' daemon does not, if a list is given."""


@dataclass(frozen=True)
class Pals:
    """Flags of PALS' mpiexec: `mpiexec --help`, and HPE's open `cray mpiexec` (cray.pals).

    --genvnone and --envnone exclude the whole environment and have to precede --envlist, which
    adds the listed variables.
    """

    version: str
    name: ClassVar[str] = "pals"
    may_queue: ClassVar[bool] = True

    @classmethod
    def recognise(cls, version_text: str) -> Self | None:
        """Recognise `mpiexec version 1.8.0 revision …`."""
        match = re.match(r"mpi(?:exec|run) version (\d\S*)", version_text)
        return None if match is None else cls(match[1])

    @property
    def title(self) -> str:
        """The launcher's name and version."""
        return f"HPE Cray PALS {self.version}"

    def prefix(self, binary: str, launch: Launch) -> list[str]:
        """Fill hosts with unbound ranks: an equal number on each, and the remainder on the last."""
        flags, layout = launch.flags, launch.layout
        refuse_transport(
            launch, self.title, "Cray MPICH takes its transport from the environment: FI_PROVIDER"
        )
        first, *others = layout.ranks_by_host
        if any(ranks != first for ranks in others[:-1]) or (others and others[-1] > first):
            raise InvalidInputError(
                HOSTS_OPTION,
                ",".join(str(host) for host in layout.hosts),
                f"slots by which every host has the same number of ranks, with {self.title}",
                hint=f"These give {', '.join(map(str, layout.ranks_by_host))} ranks, and its --ppn "
                "is one number for all hosts",
            )
        command = [binary, "-n", str(layout.total), "--ppn", str(first)]
        command += ["--hosts", ",".join(launch.host_names())]
        if not flags.include("--cpu-bind"):
            command += ["--cpu-bind", "none"]
        if not flags.include("--wdir"):
            command += ["--wdir", launch.directory]
        if not flags.include("--envall", "--envlist", "--envnone", "--genvall", "--genvlist"):
            names = ",".join([*_USER_VARIABLES, *launch.exported])
            command += ["--genvnone", "--envnone", "--envlist", names]
        return [*command, *flags.extra]

    def notes(self, launch: Launch) -> list[str]:
        """Return a sentence for each option that has no flag."""
        return unsupported_flag_notes(
            launch.flags,
            self.title,
            oversubscribe="it starts as many ranks on a host as its --ppn says, or refuses",
            root="its own rules decide about root",
        )
