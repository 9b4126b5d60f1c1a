"""Rerun of an earlier run's command: an argument vector, never through a shell."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from mlpstorage_bench.errors import InvalidInputError

RERUN_OPTION = "--mlps-history-rerun"
RERUN_VARIABLE = "MLPS_RERUN_OF"
"""Environment variable of a rerun: the id of the run that it repeats."""


@dataclass(frozen=True)
class Rerun:
    """Command to start, with its directory and environment."""

    run_id: str
    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str]

    def shell_line(self) -> str:
        """Return the command as typed in a shell."""
        return shlex.join(self.command)

    def start(self) -> NoReturn:
        """Replace this process by the command, with its output, exit status and signals.

        InvalidInputError when the system cannot start it.
        """
        try:
            self._become()
        except OSError as error:
            raise self._not_started(error) from error

    def run(self) -> int:
        """Run the command as a child, and return its exit status as a shell would.

        It serves programs that continue after pytest.main. InvalidInputError when the system cannot
        start it.
        """
        try:
            # a group of its own: a terminal's Ctrl-C must not reach it twice
            child = subprocess.Popen(  # noqa: S603 - an argument vector, from our own record
                self.command, cwd=self.directory, env=dict(self.environment), process_group=0
            )
        except OSError as error:
            raise self._not_started(error) from error
        while True:
            try:
                status = child.wait()
            except KeyboardInterrupt:
                child.send_signal(signal.SIGINT)
            else:
                return status if status >= 0 else 128 - status

    def _not_started(self, error: OSError) -> InvalidInputError:
        return InvalidInputError(
            RERUN_OPTION, self.run_id, "a run that can be started", hint=str(error)
        )

    def _become(self) -> NoReturn:
        os.chdir(self.directory)
        os.execvpe(self.command[0], self.command, dict(self.environment))  # noqa: S606 - an argument vector, from our own record


def rerun_of(run_id: str, metadata: Mapping[str, Any], environ: Mapping[str, str]) -> Rerun:
    """Return the rerun of a run; InvalidInputError when it is not known or not possible."""
    if RERUN_VARIABLE in environ:
        raise InvalidInputError(
            RERUN_OPTION,
            run_id,
            f"nothing within a run again (of {environ[RERUN_VARIABLE]})",
            hint="Take the option out of PYTEST_ADDOPTS and the configuration file",
        )
    own = metadata.get("mlpstorage") or {}
    invocation = own.get("invocation")
    if not invocation or not own.get("working_directory"):
        executed = metadata.get("executed_command")
        raise InvalidInputError(
            RERUN_OPTION,
            run_id,
            "a run whose metadata tells how it was started",
            hint=f"Its command was: {executed}" if executed else "Its command is not known",
        )
    command = tuple(str(part) for part in invocation["command"])
    directory = Path(own["working_directory"])
    if not directory.is_dir():
        raise InvalidInputError(
            RERUN_OPTION, run_id, f"a run whose working directory is there, unlike {directory}"
        )
    environment = {**environ, RERUN_VARIABLE: run_id}
    for name, value in invocation["environment"].items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = str(value)
    if shutil.which(command[0], path=environment.get("PATH")) is None:
        raise InvalidInputError(
            RERUN_OPTION,
            run_id,
            f"a run whose program is there, unlike {command[0]}",
            hint=f"Its command was: {shlex.join(command)}",
        )
    return Rerun(run_id, command, directory, environment)
