"""Slurm's srun: ranks as a step of the allocation, or of a new one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Self

from mlpstorage_bench.launch.launchers.launcher import (
    Launch,
    refuse_transport,
    unsupported_flag_notes,
)

_USER_VARIABLES = ("HOME", "USER")
"""Variables that a remote shell sets and Slurm's daemon does not, if --export lists names."""


@dataclass(frozen=True)
class Slurm:
    """Flags of srun(1), Slurm 20.11 and later."""

    version: str
    name: ClassVar[str] = "srun"
    may_queue: ClassVar[bool] = True

    @classmethod
    def recognise(cls, version_text: str) -> Self | None:
        """Recognise `slurm 23.11.4`, and Debian's `slurm-wlm 22.05.8`."""
        match = re.match(r"slurm(?:-\w+)? (\d\S*)", version_text)
        return None if match is None else cls(match[1])

    @property
    def title(self) -> str:
        """The launcher's name and version."""
        return f"Slurm (srun) {self.version}"

    def prefix(self, binary: str, launch: Launch) -> list[str]:
        """Fill each host with its ranks, unbound.

        An even layout has a number of nodes and of tasks per node. An uneven one uses srun's
        arbitrary distribution: tasks go to the nodes in the order of the list, in which a name may
        be repeated; it excludes --nodes.
        """
        flags, layout = launch.flags, launch.layout
        refuse_transport(
            launch,
            self.title,
            "Set what the MPI library reads from its environment, like OMPI_MCA_btl=tcp,self",
        )
        command = [binary, f"--ntasks={layout.total}"]
        names = launch.host_names()
        if len(set(layout.ranks_by_host)) == 1:
            command += [f"--nodes={len(names)}", f"--ntasks-per-node={layout.ranks_per_node}"]
            command += [f"--nodelist={','.join(names)}", "--distribution=block"]
        else:
            pairs = zip(names, layout.ranks_by_host, strict=True)
            tasks = [name for name, ranks in pairs for _ in range(ranks)]
            command += [f"--nodelist={','.join(tasks)}", "--distribution=arbitrary"]
        if not flags.include("--cpu-bind"):
            command.append("--cpu-bind=none")
        if launch.is_within_step and not flags.include("--overlap", "--exclusive"):
            command.append("--overlap")  # else it would wait for the end of its own step
        if flags.oversubscribe:
            command.append("--overcommit")
        if not flags.include("--chdir", "-D"):
            command.append(f"--chdir={launch.directory}")
        if not flags.include("--export"):
            command.append(f"--export={','.join([*_USER_VARIABLES, *launch.exported])}")
        return [*command, *flags.extra]

    def notes(self, launch: Launch) -> list[str]:
        """Return a sentence for each option that needs no flag."""
        return unsupported_flag_notes(
            launch.flags, self.title, root="Slurm's own rules decide about root"
        )
