"""Rerun of an earlier run's command: an argument vector, never through a shell.

The command comes from a file. A file that another user may have written is used only if the user
names that user.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import signal
import stat
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.history.former_tests import with_current_names, with_current_names_in
from mlpstorage_bench.redaction.text import REMOVED
from mlpstorage_bench.results.metadata_parts import Invocation
from mlpstorage_bench.results.run_metadata import RunMetadata

RERUN_OPTION = "--mlps-history-rerun"
OWNER_OPTION = "--mlps-history-rerun-owner"
_ANYONE = "anyone"
"""Stands for the owner of a file that every user may write."""
RERUN_VARIABLE = "MLPS_RERUN_OF"
"""Environment variable of a rerun: the id of the run that it repeats."""


@dataclass(frozen=True)
class Rerun:
    """Command to start, with its directory and environment."""

    run_id: str
    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str]
    remarks: Sequence[str] = ()
    """Differences from the recorded command, in sentences."""
    option: str = RERUN_OPTION
    """The option that asks for it, for messages."""

    def shell_line(self) -> str:
        """Return the command as typed in a shell."""
        return shlex.join(self.command)

    def start(self) -> NoReturn:
        """Replace this process by the command, with its output, exit status and signals.

        InvalidInputError when the system cannot start it.
        """
        try:
            self._become()
        except (OSError, ValueError) as error:
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
        except (OSError, ValueError) as error:
            raise self._not_started(error) from error
        while True:
            try:
                status = child.wait()
            except KeyboardInterrupt:
                child.send_signal(signal.SIGINT)
            else:
                return status if status >= 0 else 128 - status

    def _not_started(self, error: OSError | ValueError) -> InvalidInputError:
        return InvalidInputError(
            self.option, self.run_id, "a run that can be started", hint=str(error)
        )

    def _become(self) -> NoReturn:
        os.chdir(self.directory)
        os.execvpe(self.command[0], self.command, dict(self.environment))  # noqa: S606 - an argument vector, from our own record


def rerun_of(
    run_id: str,
    metadata: RunMetadata,
    environ: Mapping[str, str],
    variables: Collection[str],
    option: str = RERUN_OPTION,
) -> Rerun:
    """Return the rerun of a run; InvalidInputError when it is not known or not possible.

    Of the recorded environment, only `variables` are set. `option` is the one that asks for it.
    """
    if RERUN_VARIABLE in environ:
        raise InvalidInputError(
            option,
            run_id,
            f"nothing within a run again (of {environ[RERUN_VARIABLE]})",
            hint="Take the option out of PYTEST_ADDOPTS and the configuration file",
        )
    own = metadata.own
    if own.invocation is None or not own.working_directory:
        executed = metadata.executed_command
        raise InvalidInputError(
            option,
            run_id,
            "a run whose metadata tells how it was started",
            hint=f"Its command was: {executed}" if executed else "Its command is not known",
        )
    stored = [*own.invocation.command, *own.invocation.environment.values()]
    if any(REMOVED in word for word in stored if word):
        raise InvalidInputError(
            option,
            run_id,
            f"a run whose command is stored as a whole; {REMOVED} stands for a secret",
            hint=f"Start it by hand: {shlex.join(own.invocation.command)}",
        )
    directory = own.working_directory
    if not os.path.isdir(directory):  # noqa: PTH112 - False where nobody may look
        raise InvalidInputError(
            option, run_id, f"a run whose working directory is there, unlike {directory}"
        )
    rerun = _rerun(run_id, own.invocation, Path(directory), metadata, environ, variables)
    if shutil.which(rerun.command[0], path=rerun.environment.get("PATH")) is None:
        raise InvalidInputError(
            option,
            run_id,
            f"a run whose program is there, unlike {rerun.command[0]}",
            hint=f"Its command was: {rerun.shell_line()}",
        )
    return replace(rerun, option=option)


def _rerun(
    run_id: str,
    invocation: Invocation,
    directory: Path,
    metadata: RunMetadata,
    environ: Mapping[str, str],
    variables: Collection[str],
) -> Rerun:
    tests = [test.test for test in metadata.own.tests]
    command, renamed = with_current_names(invocation.command, tests, directory)
    environment = {**environ, RERUN_VARIABLE: run_id}
    for name in invocation.environment.keys() & set(variables):
        environment.pop(name, None)
        value = invocation.environment[name]
        if value is not None:
            environment[name], more = with_current_names_in(value, tests, directory)
            renamed |= more
    others = sorted(invocation.environment.keys() - set(variables))
    remarks = [f"{former} is called {name} now" for former, name in renamed.items()]
    if others:
        remarks.append(
            f"not set, as a rerun sets {', '.join(variables)} alone: {', '.join(others)}"
        )
    return Rerun(run_id, tuple(command), directory, environment, remarks)


def check_owner(
    run_id: str, metadata: RunMetadata, file: os.stat_result, named: str | None
) -> None:
    """Raise InvalidInputError if another user may have written the file and is not named.

    `file` is the status of the metadata file that was read.
    """
    writer = other_writer(file)
    if writer is None or named in writer.names:
        return
    invocation = metadata.own.invocation
    command = "unknown" if invocation is None else shlex.join(invocation.command)
    raise InvalidInputError(
        RERUN_OPTION,
        run_id,
        f"a run of your own; {writer.relation}",
        hint=f"Its command is: {command}. To start it all the same, add "
        f"{OWNER_OPTION}={writer.names[0]}",
    )


@dataclass(frozen=True)
class Writer:
    """Another user who may have written a metadata file, or anyone."""

    names: tuple[str, ...]
    """Names under which a user accepts this one."""
    relation: str
    """How the file is theirs, in words."""


def other_writer(file: os.stat_result) -> Writer | None:
    """Return who else may have written a metadata file of this status; None if nobody."""
    is_foreign_group = file.st_gid != os.getegid() and bool(file.st_mode & stat.S_IWGRP)
    if file.st_mode & stat.S_IWOTH or is_foreign_group:
        return Writer((_ANYONE,), "other users may write its metadata")
    if file.st_uid == os.geteuid():
        return None
    owner = _user_name(file.st_uid)
    return Writer((owner, str(file.st_uid)), f"its metadata belongs to user {owner}")


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
