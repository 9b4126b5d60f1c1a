"""The command that starts the ranks from here, and the one that started this process."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from mlpstorage_bench.launch.hosts import LOOPBACK_NAMES, Layout
from mlpstorage_bench.launch.launchers.exported import exported_names, without_values
from mlpstorage_bench.launch.launchers.installed import find_binary, identify, shown
from mlpstorage_bench.launch.launchers.launcher import Launch, LaunchFlags
from mlpstorage_bench.launch.status_channel import DIRECTORY_VARIABLE, HOST_VARIABLE, WORD_VARIABLE

COMMAND_VARIABLE = "MLPS_LAUNCH_COMMAND"
"""Tells the ranks the command line that started them, as JSON."""
LAUNCHER_VARIABLE = "MLPS_LAUNCHER"
"""Tells the ranks what the launcher calls itself, with its version."""

_RUN_PYTEST = (
    "import base64, json, runpy, sys; "
    "sys.argv = ['pytest', *json.loads(base64.b64decode(sys.argv[1]))]; "
    "runpy.run_module('pytest', run_name='__main__')"
)
"""What a rank runs: pytest, with its arguments in one word of base64.

Launchers take some of a program's arguments for their own: Open MPI 5 rewrites `--bind-to`,
`--map-by` and `--rank-by`, and at `:` a second program begins. A word without hyphens, blanks and
colons means nothing to any of them. This is no module of the package, as pytest warns of a plugin
that was imported before it could rewrite its assertions.
"""


@dataclass(frozen=True)
class LaunchPlan:
    """The command that starts every rank of a session."""

    prefix: tuple[str, ...]
    """The launcher and its arguments."""
    pytest_arguments: tuple[str, ...]
    launcher: str
    """What the launcher calls itself, with its version."""
    notes: tuple[str, ...]
    """What was asked of the launcher and it has no flag for."""
    layout: Layout
    all_hosts_are_here: bool
    may_queue: bool = False
    """Whether the launcher may wait for hosts to be free before it starts anything."""

    @property
    def command(self) -> list[str]:
        """The command as a person would type it."""
        return [*self.prefix, *_interpreter(), "-m", "pytest", *self.pytest_arguments]

    @property
    def argument_vector(self) -> list[str]:
        """The command as it is executed: the same, with pytest's arguments in one word."""
        word = base64.b64encode(json.dumps(self.pytest_arguments).encode()).decode()
        return [*self.prefix, *_interpreter(), "-c", _RUN_PYTEST, word]

    def shell_line(self) -> str:
        """The command as one would type it, in one line, without values of variables: logs stay."""
        binary, *arguments = self.command
        return shlex.join(without_values([shown(binary), *arguments]))


def plan_launch(
    layout: Layout, flags: LaunchFlags, mpi_bin: str | None, pytest_arguments: Sequence[str]
) -> LaunchPlan:
    """Put together the command that runs `pytest_arguments` on every rank of `layout`."""
    binary = find_binary(mpi_bin)
    launcher = identify(binary)
    ours = {
        *(COMMAND_VARIABLE, LAUNCHER_VARIABLE),
        *(DIRECTORY_VARIABLE, HOST_VARIABLE, WORD_VARIABLE),
    }
    launch = Launch(
        layout=layout,
        flags=flags,
        directory=str(Path.cwd()),
        exported=tuple(sorted({*exported_names(), *ours})),
        this_host=os.environ.get("SLURMD_NODENAME") or os.uname().nodename.partition(".")[0],
        is_within_step="SLURM_STEP_ID" in os.environ,
    )
    return LaunchPlan(
        prefix=tuple(launcher.prefix(binary, launch)),
        pytest_arguments=tuple(pytest_arguments),
        launcher=launcher.title,
        notes=tuple(launcher.notes(launch)),
        layout=layout,
        all_hosts_are_here=all(_is_this_host(host.name) for host in layout.hosts),
        may_queue=launcher.may_queue,
    )


def _is_this_host(name: str) -> bool:
    here = os.uname().nodename
    return name in {*LOOPBACK_NAMES, here, here.split(".")[0]}


def launch_command() -> list[str] | None:
    """The command that started this rank when our own parent did; None otherwise."""
    value = os.environ.get(COMMAND_VARIABLE)
    return None if value is None else [str(part) for part in json.loads(value)]


def started_pytest(arguments: Sequence[object]) -> list[str]:
    """Return the command that starts pytest with these arguments the way this one was started.

    `pytest` and `python -m pytest` import from different places.
    """
    start = [str(Path(sys.argv[0]).absolute())] if _is_script() else ["-m", "pytest"]
    return [sys.executable, *interpreter_flags(sys.orig_argv), *start, *map(str, arguments)]


def _is_script() -> bool:
    program = Path(sys.argv[0])
    return program.name in {"pytest", "py.test"} and program.is_file()


def _interpreter() -> list[str]:
    """Return Python as it was started here; -P keeps the working directory out of its imports."""
    as_script = ["-P"] if _is_script() else []
    return [sys.executable, *interpreter_flags(sys.orig_argv), *as_script]


def interpreter_flags(command: Sequence[str]) -> list[str]:
    """Return what a command of Python's says to the interpreter itself: `-O`, `-X dev`, `-W error`.

    One word may have several letters; of `-Om`, `m` begins what is run.
    """
    flags: list[str] = []
    words = iter(command[1:])
    for word in words:
        letters = re.match(r"-(?!-)([^cmWX]*)(.?)(.*)", word, re.DOTALL)
        if letters is None or word == "-":
            break
        plain, last, value = letters.groups()
        if last in ("c", "m"):
            return [*flags, f"-{plain}"] if plain else flags
        flags.append(word)
        if last and not value:
            flags.append(next(words))
    return flags


_LAUNCHERS = frozenset({"mpirun", "mpiexec", "prterun", "orterun", "srun"})
"""Names of launchers, without what distributions add, as in mpirun.openmpi or mpiexec.hydra."""


def launching_ancestor() -> list[str] | None:
    """The command of the launcher above this process; None when it is not on this host."""
    for ancestor in psutil.Process().parents():
        try:
            command = ancestor.cmdline()
        except psutil.Error:
            return None  # gone, or another user's
        if command and Path(command[0]).name.partition(".")[0] in _LAUNCHERS:
            return [_as_typed(command[0]), *command[1:]]
    return None


def _as_typed(binary: str) -> str:
    """Return the launcher that a person starts: Open MPI's mpirun has become prterun.

    What it tells that by its environment is gone: prterun itself would start processes without MPI.
    """
    path = Path(binary)
    mpirun = path.with_name("mpirun")
    return str(mpirun) if path.name == "prterun" and mpirun.is_file() else binary
