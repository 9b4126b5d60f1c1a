"""What every launcher is asked, and the interface of a family of launchers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.launch.hosts import LOOPBACK_NAMES, Layout

Transport = Literal["auto", "vader", "tcp"]
TRANSPORTS: tuple[Transport, ...] = ("auto", "vader", "tcp")
TRANSPORT_OPTION = "--mlps-mpi-btl"
PARAMS_OPTION = "--mlps-mpi-params"


@dataclass(frozen=True)
class LaunchFlags:
    """What the user may say about a launch beside its layout."""

    oversubscribe: bool = False
    allow_run_as_root: bool = False
    transport: Transport = "auto"
    """How ranks talk, in Open MPI's words: vader is shared memory."""
    extra: tuple[str, ...] = ()
    """Passed on to the launcher as they are, last."""

    def speak_of(self, *flags: str) -> bool:
        """Whether the user's own arguments have one of these flags, so that ours is left out."""
        given = {argument.partition("=")[0].lstrip("-") for argument in self.extra if argument}
        return any(flag.lstrip("-") in given for flag in flags)


@dataclass(frozen=True)
class Launch:
    """What is to be started: the same for every launcher."""

    layout: Layout
    flags: LaunchFlags
    directory: str
    """In which every rank begins."""
    exported: tuple[str, ...]
    """Names of the environment's variables that ranks on other hosts are to have."""
    this_host: str
    """What a resource manager calls the host that is `localhost` in a layout."""
    is_within_step: bool = False
    """Whether this process is itself a task of Slurm's, whose step holds what the job has."""

    def host_names(self) -> list[str]:
        """The hosts as a resource manager knows them."""
        return [
            self.this_host if host.name in LOOPBACK_NAMES else host.name
            for host in self.layout.hosts
        ]

    def hosts_with_ranks(self) -> str:
        """The hosts as `name:ranks`: as many slots as ranks, so that none is left over."""
        pairs = zip(self.layout.hosts, self.layout.ranks_by_host, strict=True)
        return ",".join(f"{host.name}:{ranks}" for host, ranks in pairs)


class Launcher(Protocol):
    """A family of launchers that share their flags."""

    @property
    def name(self) -> str:
        """The family's name, as in results."""
        ...

    @property
    def title(self) -> str:
        """What it calls itself, with its version."""
        ...

    @property
    def may_queue(self) -> bool:
        """Whether it may wait for hosts to be free before it starts anything."""
        ...

    def prefix(self, binary: str, launch: Launch) -> list[str]:
        """Return the argument vector up to the program.

        Raises InvalidInputError for what was asked and this launcher cannot do.
        """
        ...

    def notes(self, launch: Launch) -> list[str]:
        """Return what the user should know: what was asked and needs, or has, no flag here."""
        ...


def refuse_transport(launch: Launch, title: str, instead: str) -> None:
    """Raise InvalidInputError where the launcher has no say in how ranks talk."""
    if launch.flags.transport != "auto":
        raise InvalidInputError(
            TRANSPORT_OPTION,
            launch.flags.transport,
            f"auto with {title}: only Open MPI has such a choice",
            hint=instead,
        )


def needless(
    flags: LaunchFlags, title: str, *, root: str, oversubscribe: str | None = None
) -> list[str]:
    """Return a note for each switch that was given and that this launcher has no flag for.

    `root` and `oversubscribe` say what it does instead; None stands for a launcher with a flag.
    """
    notes = []
    if flags.oversubscribe and oversubscribe is not None:
        notes.append(f"--mlps-oversubscribe: {title} has no such flag: {oversubscribe}")
    if flags.allow_run_as_root:
        notes.append(f"--mlps-allow-run-as-root: {title} has no such flag: {root}")
    return notes
