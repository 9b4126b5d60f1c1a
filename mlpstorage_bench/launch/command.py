"""Command lines: the one that starts the ranks, and the one that started this process."""

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

from mlpstorage_bench.errors import LaunchError
from mlpstorage_bench.launch.environment import LAUNCH_ID_VARIABLE
from mlpstorage_bench.launch.hosts import LOOPBACK_NAMES, Layout
from mlpstorage_bench.launch.launchers.exported import exported_names
from mlpstorage_bench.launch.launchers.installed import display_path, find_binary, identify
from mlpstorage_bench.launch.launchers.launcher import Launch, LaunchFlags
from mlpstorage_bench.launch.status_channel import (
    DIRECTORY_VARIABLE,
    HOST_VARIABLE,
)
from mlpstorage_bench.redaction.commands import redact_command

COMMAND_VARIABLE = "MLPS_LAUNCH_COMMAND"
"""Environment variable with the command line that started the ranks, as JSON."""
LONGEST_ARGUMENT = 128 << 10
"""Bytes of an argument or a variable of a process: MAX_ARG_STRLEN of Linux, execve(2)."""
LAUNCHER_VARIABLE = "MLPS_LAUNCHER"
"""Environment variable with the launcher's name and version."""
LAUNCH_VARIABLES = (
    *(COMMAND_VARIABLE, LAUNCHER_VARIABLE),
    *(DIRECTORY_VARIABLE, HOST_VARIABLE, LAUNCH_ID_VARIABLE),
)
"""Environment variables of every rank of a launch by this plugin."""

_RUN_PYTEST = (
    "import base64, json, runpy, sys; "
    "sys.argv = ['pytest', *json.loads(base64.b64decode(sys.argv[1]))]; "
    "runpy.run_module('pytest', run_name='__main__')"
)
"""Program of a rank: pytest, with its arguments as one base64 word.

Launchers interpret some arguments of the program as their own: Open MPI 5 rewrites `--bind-to`,
`--map-by` and `--rank-by`, and `:` starts a second program. A word without hyphens, blanks and
colons is passed unchanged by all of them. This is not a module of the package, as pytest warns of a
plugin that was imported before its assertions could be rewritten.
"""


@dataclass(frozen=True)
class LaunchPlan:
    """The command that starts every rank of a session."""

    prefix: tuple[str, ...]
    """The launcher and its arguments."""
    pytest_arguments: tuple[str, ...]
    launcher: str
    """The launcher's name and version."""
    notes: tuple[str, ...]
    """Options for which the launcher has no flag, a sentence each."""
    layout: Layout
    all_hosts_are_here: bool
    may_queue: bool = False
    """Whether the launcher may wait in a queue before it starts the ranks."""

    @property
    def command(self) -> list[str]:
        """The command in readable form."""
        return [*self.prefix, *_interpreter(), "-m", "pytest", *self.pytest_arguments]

    @property
    def argument_vector(self) -> list[str]:
        """The command that is executed: pytest's arguments are one word."""
        word = base64.b64encode(json.dumps(self.pytest_arguments).encode()).decode()
        return [*self.prefix, *_interpreter(), "-c", _RUN_PYTEST, word]

    def shell_line(self) -> str:
        """The command as one shell line, without values of variables, which may be secret."""
        binary, *arguments = self.command
        return shlex.join(redact_command([display_path(binary), *arguments]))


def plan_launch(
    layout: Layout, flags: LaunchFlags, mpi_bin: str | None, pytest_arguments: Sequence[str]
) -> LaunchPlan:
    """Return the command that runs `pytest_arguments` on every rank of `layout`."""
    binary = find_binary(mpi_bin)
    launcher = identify(binary)
    launch = Launch(
        layout=layout,
        flags=flags,
        directory=str(Path.cwd()),
        exported=tuple(sorted({*exported_names(), *LAUNCH_VARIABLES})),
        this_host=os.environ.get("SLURMD_NODENAME") or os.uname().nodename.partition(".")[0],
        is_within_step="SLURM_STEP_ID" in os.environ,
    )
    plan = LaunchPlan(
        prefix=tuple(launcher.prefix(binary, launch)),
        pytest_arguments=tuple(pytest_arguments),
        launcher=launcher.title,
        notes=tuple(launcher.notes(launch)),
        layout=layout,
        all_hosts_are_here=all(is_this_host(host.name) for host in layout.hosts),
        may_queue=launcher.may_queue,
    )
    check_length(plan)
    return plan


def check_length(plan: LaunchPlan) -> None:
    """Raise LaunchError if an argument or variable is longer than the kernel accepts."""
    longest = max(map(len, map(os.fsencode, [*plan.argument_vector, json.dumps(plan.command)])))
    if longest + len(COMMAND_VARIABLE) > LONGEST_ARGUMENT:
        raise LaunchError(
            f"the command that starts {plan.layout.total} ranks on {len(plan.layout.hosts)} hosts "
            f"has {longest} bytes; accepted: less than {LONGEST_ARGUMENT}. Use shorter names of "
            "hosts, or start the ranks with a launcher of your own and its host file"
        )


def is_this_host(name: str) -> bool:
    """Whether a host's name is one of this host."""
    here = os.uname().nodename.lower()
    return name.lower() in {*LOOPBACK_NAMES, here, here.split(".")[0]}


def launch_command() -> list[str] | None:
    """The command that started this rank when our own parent did; None otherwise."""
    value = os.environ.get(COMMAND_VARIABLE)
    return None if value is None else [str(part) for part in json.loads(value)]


def started_pytest(arguments: Sequence[object]) -> list[str]:
    """Return the command that starts pytest with these arguments like this process.

    `pytest` and `python -m pytest` have different import paths.
    """
    start = [str(Path(sys.argv[0]).absolute())] if _is_script() else ["-m", "pytest"]
    return [sys.executable, *interpreter_flags(sys.orig_argv), *start, *map(str, arguments)]


def is_main_program() -> bool:
    """Whether this process is `pytest` or `python -m pytest`, not a program that calls it."""
    main = getattr(sys.modules["__main__"], "__spec__", None)
    return _is_script() or (main is not None and main.name == "pytest.__main__")


def _is_script() -> bool:
    program = Path(sys.argv[0])
    return program.name in {"pytest", "py.test"} and program.is_file()


def _interpreter() -> list[str]:
    """Return the Python command of this process; -P keeps the working directory off sys.path."""
    as_script = ["-P"] if _is_script() else []
    return [sys.executable, *interpreter_flags(sys.orig_argv), *as_script]


def interpreter_flags(command: Sequence[str]) -> list[str]:
    """Return the interpreter options of a Python command: `-O`, `-X dev`, `-W error`.

    One word may have several letters; in `-Om`, `m` starts the program.
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
"""Names of launchers without the suffix of distributions, as in mpirun.openmpi."""


def is_launcher(program: str) -> bool:
    """Whether a program is one that starts ranks, by its name."""
    return Path(program).name.partition(".")[0] in _LAUNCHERS


def launching_ancestor() -> list[str] | None:
    """Return the command of the launcher above this process; None if it is on another host."""
    for ancestor in psutil.Process().parents():
        try:
            command = ancestor.cmdline()
        except psutil.Error:
            return None  # it has ended, or belongs to another user
        if command and is_launcher(command[0]):
            return [_as_typed(command[0]), *command[1:]]
    return None


def _as_typed(binary: str) -> str:
    """Return the launcher as a user starts it: Open MPI's mpirun executes prterun.

    prterun started directly lacks mpirun's environment and would start processes without MPI.
    """
    path = Path(binary)
    mpirun = path.with_name("mpirun")
    return str(mpirun) if path.name == "prterun" and mpirun.is_file() else binary
