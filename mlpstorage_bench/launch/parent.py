"""Parent process of launched ranks: start them, watch them, and clean up after them.

`monitor.py` watches the ranks, `forwarding.py` forwards their output and keeps a copy, and
`exit_reason.py` derives the session's exit status from their status lines.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType

from mlpstorage_bench.errors import LaunchError
from mlpstorage_bench.launch import parent_death
from mlpstorage_bench.launch.command import COMMAND_VARIABLE, LAUNCHER_VARIABLE, LaunchPlan
from mlpstorage_bench.launch.environment import LAUNCH_ID_VARIABLE
from mlpstorage_bench.launch.exit_reason import LaunchExit, exit_of
from mlpstorage_bench.launch.forwarding import forward_output, write
from mlpstorage_bench.launch.monitor import LaunchMonitor, Limits
from mlpstorage_bench.launch.status_channel import (
    DIRECTORY_VARIABLE,
    HOST_VARIABLE,
    StatusReader,
    this_host,
)
from mlpstorage_bench.process import helper, reaper
from mlpstorage_bench.process.signals import StopSignals


def run(
    plan: LaunchPlan, limits: Limits, variables: Mapping[str, str] = MappingProxyType({})
) -> LaunchExit:
    """Run the ranks until they end, and leave no process of theirs on this host.

    The ranks' output is forwarded. Ctrl-C, SIGTERM and SIGHUP are forwarded once, as
    SIGUSR1, which Open MPI and MPICH forward to every rank; SIGTERM and SIGKILL follow if the ranks
    do not end within the grace, or after another Ctrl-C. If this process is killed, a reaper ends
    the ranks. Rank 0 reports the exit status; a session without that report has failed, whatever
    status the launcher returns. `variables` are added to the environment of the launcher.
    """
    launch_id = f"mlps-{secrets.token_hex(12)}"
    mark = f"{LAUNCH_ID_VARIABLE}={launch_id}"
    with StopSignals() as requests, _launch_directory() as (directory, pipe):
        status_reader = StatusReader(directory, launch_id)
        environment = {
            **os.environ,
            **variables,
            COMMAND_VARIABLE: json.dumps(plan.command),
            DIRECTORY_VARIABLE: str(directory),
            HOST_VARIABLE: this_host(),
            LAUNCH_ID_VARIABLE: launch_id,
            LAUNCHER_VARIABLE: plan.launcher,
        }
        sys.stdout.flush()
        with _refusal_of("The launcher", plan.argument_vector[0]):
            child, outputs = _start_launcher(plan, environment, directory)
        try:
            with _refusal_of("The launcher's helper process", directory):
                reaper_process = parent_death.start_helper(directory, child, launch_id, pipe)
        except LaunchError:
            helper.kill(child, "the launcher", "has no helper process")
            for output in outputs:
                os.close(output)
            reaper.kill_marked(mark)
            raise
        with forward_output(*outputs, status_reader, partial(_log_path, status_reader)):
            monitor = LaunchMonitor(
                child, status_reader, limits, requests, may_queue=plan.may_queue
            )
            status = monitor.wait()
            for process_id in reaper.kill_marked(mark):
                name = f"helper process {process_id} of a rank"
                write(f"mlpstorage: {name} was stopped, and is killed\n".encode())
        reaper.stop(reaper_process)
        return exit_of(plan, status_reader, status, monitor)


def _log_path(status_reader: StatusReader, name: str) -> str | None:
    """Return the file for the copy of an output; None as long as rank 0 has reported none."""
    beginning = status_reader.read("logs")
    return f"{beginning}.{name}.log" if beginning else None


def _start_launcher(
    plan: LaunchPlan, environment: Mapping[str, str], directory: Path
) -> tuple[subprocess.Popen[bytes], tuple[int, int]]:
    """Start the launcher; return it, and the pipes of its standard output and error.

    The launcher also holds the reading ends. If this process is killed, a launcher without a
    reader would end at the next line, and its ranks before they can report.
    """
    with ExitStack() as after_start, ExitStack() as if_not_started:
        reading, writing = [], []
        for name in reaper.LAUNCHER_OUTPUTS:
            pipe = directory / name
            os.mkfifo(pipe, 0o600)
            reading.append(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
            if_not_started.callback(os.close, reading[-1])
            os.set_blocking(reading[-1], True)
            writing.append(os.open(pipe, os.O_WRONLY | os.O_CLOEXEC))
            after_start.callback(os.close, writing[-1])
        child = subprocess.Popen(  # noqa: S603 - our own argument vector
            plan.argument_vector,
            stdin=subprocess.DEVNULL,
            stdout=writing[0],
            stderr=writing[1],
            env=environment,
            pass_fds=reading,
            process_group=0,
        )
        if_not_started.pop_all()
    return child, (reading[0], reading[1])


@contextmanager
def _launch_directory() -> Iterator[tuple[Path, int]]:
    """Make the directory for status files and the pipes by which ranks see this process's death.

    Yield it, and the descriptor of the pipe that the helper process inherits.
    """
    with ExitStack() as resources:
        with _refusal_of("The directory of the ranks' status files", tempfile.gettempdir()):
            directory = resources.enter_context(tempfile.TemporaryDirectory(prefix="mlps-launch-"))
            pipe = resources.enter_context(parent_death.held_pipes(Path(directory)))
        yield Path(directory), pipe


@contextmanager
def _refusal_of(what: str, place: Path | str) -> Iterator[None]:
    """Raise LaunchError for an OSError."""
    try:
        yield
    except OSError as error:
        raise LaunchError(
            f"{what} ({place}) cannot be started: {error}. Accepted: a program that can be "
            "executed, and free space in a TMPDIR that has named pipes"
        ) from error
