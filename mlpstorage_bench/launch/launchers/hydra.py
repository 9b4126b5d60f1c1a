"""MPICH's mpiexec: the process manager Hydra."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Self

from mlpstorage_bench.launch.launchers.launcher import (
    Launch,
    refuse_transport,
    unsupported_flag_notes,
)


@dataclass(frozen=True)
class Hydra:
    """Flags of mpiexec(1) of MPICH and of `mpiexec -help`."""

    version: str
    name: ClassVar[str] = "hydra"
    may_queue: ClassVar[bool] = False

    @classmethod
    def recognise(cls, version_text: str) -> Self | None:
        """Recognise `HYDRA build details:` and the version in a line below."""
        match = re.search(r"HYDRA build details:\s*(?:Version:\s*(\S+))?", version_text)
        return None if match is None else cls(match[1] or "of unknown version")

    @property
    def title(self) -> str:
        """The launcher's name and version."""
        return f"MPICH (Hydra) {self.version}"

    def prefix(self, binary: str, launch: Launch) -> list[str]:
        """Fill each host with its ranks, unbound.

        Hydra sends the whole environment to every host unless it is given a list.
        """
        flags = launch.flags
        refuse_transport(
            launch,
            self.title,
            "MPICH takes its transport from the environment: FI_PROVIDER=tcp, or UCX_TLS=tcp",
        )
        command = [binary, "-n", str(launch.layout.total), "-hosts", launch.hosts_with_ranks()]
        if not flags.include("-bind-to", "-binding"):
            command += ["-bind-to", "none"]
        if not flags.include("-wdir"):
            command += ["-wdir", launch.directory]
        if not flags.include("-genvall", "-genvlist", "-genvnone"):
            command += ["-genvlist", ",".join(launch.exported)]
        return [*command, *flags.extra]

    def notes(self, launch: Launch) -> list[str]:
        """Return a sentence for each option that needs no flag."""
        return unsupported_flag_notes(
            launch.flags,
            self.title,
            oversubscribe="it always starts the requested number of ranks",
            root="it runs as root without one",
        )
