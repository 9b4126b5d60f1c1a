"""Input of a launch, and the interface of a family of launchers."""

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
    """The user's options of a launch beside its layout."""

    oversubscribe: bool = False
    allow_run_as_root: bool = False
    transport: Transport = "auto"
    """Transport between ranks, in Open MPI's terms: vader is shared memory."""
    extra: tuple[str, ...] = ()
    """Further arguments of the launcher, passed unchanged and last."""

    def include(self, *flags: str) -> bool:
        """Return whether the user's arguments have one of these flags, so that ours is omitted."""
        given = {argument.partition("=")[0].lstrip("-") for argument in self.extra if argument}
        return any(flag.lstrip("-") in given for flag in flags)


@dataclass(frozen=True)
class Launch:
    """A launch, independent of the launcher."""

    layout: Layout
    flags: LaunchFlags
    directory: str
    """Working directory of every rank."""
    exported: tuple[str, ...]
    """Names of the environment variables that are passed to ranks on other hosts."""
    this_host: str
    """The resource manager's name for the host that is `localhost` in a layout."""
    is_within_step: bool = False
    """Whether this process is a Slurm task, whose step occupies the job's resources."""

    def host_names(self) -> list[str]:
        """Return the hosts under the resource manager's names."""
        return [
            self.this_host if host.name in LOOPBACK_NAMES else host.name
            for host in self.layout.hosts
        ]

    def hosts_with_ranks(self) -> str:
        """Return the hosts as `name:ranks`, with as many slots as ranks."""
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
        """The launcher's name and version."""
        ...

    @property
    def may_queue(self) -> bool:
        """Whether the launcher may wait in a queue before it starts the ranks."""
        ...

    def prefix(self, binary: str, launch: Launch) -> list[str]:
        """Return the argument vector up to the program.

        Raises InvalidInputError for options that this launcher does not support.
        """
        ...

    def notes(self, launch: Launch) -> list[str]:
        """Return a sentence for each option that has no flag with this launcher."""
        ...


def refuse_transport(launch: Launch, title: str, instead: str) -> None:
    """Raise InvalidInputError for a transport option: the launcher has no flag for it."""
    if launch.flags.transport != "auto":
        raise InvalidInputError(
            TRANSPORT_OPTION,
            launch.flags.transport,
            f"auto with {title}: only Open MPI has this option",
            hint=instead,
        )


def unsupported_flag_notes(
    flags: LaunchFlags, title: str, *, root: str, oversubscribe: str | None = None
) -> list[str]:
    """Return a note for each option that was given and that has no flag with this launcher.

    `root` and `oversubscribe` describe the launcher's behaviour; None means that it has a flag.
    """
    notes = []
    if flags.oversubscribe and oversubscribe is not None:
        notes.append(f"--mlps-oversubscribe: {title} has no such flag: {oversubscribe}")
    if flags.allow_run_as_root:
        notes.append(f"--mlps-allow-run-as-root: {title} has no such flag: {root}")
    return notes
