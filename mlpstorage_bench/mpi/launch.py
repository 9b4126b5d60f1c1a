"""Starting the ranks from here, and being their parent: output, exit status, Ctrl-C."""

from __future__ import annotations

import base64
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from mlpstorage_bench.mpi.hosts import Layout
from mlpstorage_bench.mpi.launchers.exported import exported_names
from mlpstorage_bench.mpi.launchers.installed import find_binary, identify, shown
from mlpstorage_bench.mpi.launchers.launcher import Launch, LaunchFlags

COMMAND_VARIABLE = "MLPS_LAUNCH_COMMAND"
"""Tells the ranks the command line that started them, as JSON."""
COMPLETION_VARIABLE = "MLPS_COMPLETION_RECORD"
"""Tells rank 0 the file in which it states that it came to its end."""
LAUNCHER_VARIABLE = "MLPS_LAUNCHER"
"""Tells the ranks what the launcher calls itself, with its version."""

INTERRUPTED = 2
"""pytest's exit status after Ctrl-C."""
INCOMPLETE = 1
INTERRUPT_GRACE_S = 20.0
"""After Ctrl-C the ranks may finish their reports for this long; then they are terminated."""
TERMINATE_GRACE_S = 5.0

_RUN_PYTEST = (
    "import base64, json, sys, pytest; "
    "sys.argv = ['pytest', *json.loads(base64.b64decode(sys.argv[1]))]; "
    "sys.exit(pytest.console_main())"
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
    first_host_is_here: bool

    @property
    def command(self) -> list[str]:
        """The command as a person would type it."""
        return [*self.prefix, sys.executable, "-m", "pytest", *self.pytest_arguments]

    @property
    def argument_vector(self) -> list[str]:
        """The command as it is executed: the same, with pytest's arguments in one word."""
        word = base64.b64encode(json.dumps(self.pytest_arguments).encode()).decode()
        return [*self.prefix, sys.executable, "-c", _RUN_PYTEST, word]

    def shell_line(self) -> str:
        """The command as one would type it, in one line."""
        binary, *arguments = self.command
        return shlex.join([shown(binary), *arguments])


def plan_launch(
    layout: Layout, flags: LaunchFlags, mpi_bin: str | None, pytest_arguments: Sequence[str]
) -> LaunchPlan:
    """Put together the command that runs `pytest_arguments` on every rank of `layout`."""
    binary = find_binary(mpi_bin)
    launcher = identify(binary)
    ours = {COMMAND_VARIABLE, COMPLETION_VARIABLE, LAUNCHER_VARIABLE}
    launch = Launch(
        layout=layout,
        flags=flags,
        directory=str(Path.cwd()),
        exported=tuple(sorted({*exported_names(), *ours})),
        this_host=os.uname().nodename.partition(".")[0],
    )
    return LaunchPlan(
        prefix=tuple(launcher.prefix(binary, launch)),
        pytest_arguments=tuple(pytest_arguments),
        launcher=launcher.title,
        notes=tuple(launcher.notes(launch)),
        layout=layout,
        first_host_is_here=_is_this_host(layout.hosts[0].name),
    )


def run(plan: LaunchPlan) -> int:
    """Run the ranks to their end and return the session's exit status.

    Their output is ours: they inherit standard output and error. Ctrl-C is passed on once, as
    SIGUSR1, which Open MPI and MPICH forward to every rank; SIGTERM and SIGKILL follow when the
    ranks do not end within their grace. A launcher that reports success is believed only when
    rank 0 has left its completion record.
    """
    with tempfile.TemporaryDirectory(prefix="mlps-launch-") as directory:
        record = Path(directory) / "completed"
        environment = {
            **os.environ,
            COMMAND_VARIABLE: json.dumps(plan.command),
            COMPLETION_VARIABLE: str(record),
            LAUNCHER_VARIABLE: plan.launcher,
        }
        sys.stdout.flush()
        child = subprocess.Popen(  # noqa: S603 - an argument vector that we put together
            plan.argument_vector, stdin=subprocess.DEVNULL, env=environment, process_group=0
        )
        status = _wait(child)
        if status == 0 and plan.first_host_is_here and not record.exists():
            sys.stderr.write(
                "mlpstorage: the launcher reports success, but rank 0 did not come to its end "
                f"(no completion record). Launched: {plan.shell_line()}\n"
            )
            return INCOMPLETE
        return status


def _wait(child: subprocess.Popen[bytes]) -> int:
    previous = signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        return child.wait()
    except KeyboardInterrupt:
        _stop(child)
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, previous)
        if child.poll() is None:
            _signal_group(child, signal.SIGKILL)
            child.wait()


def _as_interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGUSR1)
    for grace_s, stronger in (
        (INTERRUPT_GRACE_S, signal.SIGTERM),
        (TERMINATE_GRACE_S, signal.SIGKILL),
    ):
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline:
            try:
                child.wait(timeout=max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                break
            except KeyboardInterrupt:  # a second Ctrl-C: no more patience
                break
            else:
                return
        _signal_group(child, stronger)
    child.wait()


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return  # it ended meanwhile


def _is_this_host(name: str) -> bool:
    here = os.uname().nodename
    return name in {"localhost", "127.0.0.1", here, here.split(".")[0]}


def launch_command() -> list[str] | None:
    """The command that started this rank when our own parent did; None otherwise."""
    value = os.environ.get(COMMAND_VARIABLE)
    return None if value is None else [str(part) for part in json.loads(value)]


def started_pytest(arguments: Sequence[object]) -> list[str]:
    """Return the command that starts pytest with these arguments the way this one was started.

    `pytest` and `python -m pytest` import from different places.
    """
    program = Path(sys.argv[0])
    as_script = program.name in {"pytest", "py.test"} and program.is_file()
    start = [str(program.absolute())] if as_script else ["-m", "pytest"]
    return [sys.executable, *start, *map(str, arguments)]


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


def record_completion() -> None:
    """State, from rank 0, that the session came to its end."""
    path = os.environ.get(COMPLETION_VARIABLE)
    if path is not None and Path(path).parent.is_dir():
        Path(path).touch()
