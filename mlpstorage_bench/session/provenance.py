"""The origin of a run: its options, command, files and hosts."""

from __future__ import annotations

import os
import secrets
import shlex
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import pytest

from mlpstorage_bench.benchmark_type.plan import Plan
from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.cluster.host import HostRecord
from mlpstorage_bench.cluster.information import ClusterInformation
from mlpstorage_bench.cluster.separation import separation
from mlpstorage_bench.cluster.sources import digests
from mlpstorage_bench.launch.command import launch_command, launching_ancestor, started_pytest
from mlpstorage_bench.launch.environment import LauncherEnvironment
from mlpstorage_bench.launch.status_channel import StatusChannel
from mlpstorage_bench.mpi.comm import Comm
from mlpstorage_bench.options.names import SETTING_VARIABLES
from mlpstorage_bench.options.settings import Settings
from mlpstorage_bench.paths import is_file
from mlpstorage_bench.redaction.commands import (
    record_launcher_arguments,
    redact_command,
    redact_environment,
)
from mlpstorage_bench.redaction.text import redact_text
from mlpstorage_bench.results.code_image import PACKAGE, pointer_to, tree_hash
from mlpstorage_bench.results.record import ExecType, Filesystems, Invocation, RunFacts
from mlpstorage_bench.results.tree import RunLocation
from mlpstorage_bench.session.file_arguments import PROFILE_OPTION
from mlpstorage_bench.session.reference_arguments import reference_arguments
from mlpstorage_bench.session.type_requests import profile_files, request_for, settings_for
from mlpstorage_bench.units import GIB


class Session(Protocol):
    """The part of a session that describes a run's origin."""

    config: pytest.Config
    settings: Settings
    launcher: LauncherEnvironment | None
    parent: StatusChannel | None
    comm: Comm

    session_id: str

    @property
    def cluster(self) -> ClusterInformation:
        """The hosts."""
        ...


def run_facts(
    session: Session,
    plan: Plan,
    request_hashes: Sequence[str],
    location: RunLocation,
    *,
    is_first: bool,
) -> RunFacts:
    """Return the part of a run's record that is known at the run's start.

    The first run of a session has the logs of its launch.
    """
    settings, cluster = session.settings, session.cluster
    launcher, arguments = session.launcher, session.config.invocation_params.args
    exec_type: ExecType = "mpi" if launcher else "local"
    return RunFacts(
        run_id=f"{location.timestamp}-{secrets.token_hex(2)}",
        session_id=session.session_id,
        model=location.model,
        benchmark_type=location.benchmark_type,
        command=location.command,
        mode=settings.mode,
        orgname=settings.orgname,
        systemname=location.systemname,
        num_processes=session.comm.size,
        npernode=max(len(ranks) for ranks in cluster.ranks_by_host.values()),
        hosts=list(cluster.hostnames),
        exec_type=exec_type,
        launcher=launcher.launcher if launcher else None,
        executed_command=_executed_command(launcher, arguments),
        working_directory=str(Path.cwd()),
        invocation=_invocation(launcher, arguments),
        tags=list(settings.tags),
        args=reference_arguments(
            settings,
            request_for(settings, location.benchmark_type).overrides,
            plan.arguments(),
            location.command,
            location.systemname,
            len(cluster.hostnames),
            _least_memory_gib(cluster.hosts),
            exec_type=exec_type,
        ),
        user_set=_as_json(settings.user_set),
        settings=_in_words(settings_for(settings, location.benchmark_type)),
        planned_cases=list(plan.cases),
        parameters=plan.parameters(),
        override_parameters=_as_json(plan.override_parameters()),
        system_info=cluster.system_info(),
        system_fingerprint=cluster.system_fingerprint(),
        system_fingerprint_parts=cluster.system_fingerprint_parts(),
        request_stream_sha256=list(request_hashes),
        code_image=pointer_to(tree_hash(PACKAGE)) if session.comm.rank == 0 else None,
        pauses=plan.pauses,
        filesystems=filesystems_of(session.settings) if session.comm.rank == 0 else None,
        output_logs=_output_logs(session, location) if is_first else None,
    )


def _least_memory_gib(hosts: Sequence[HostRecord]) -> float | None:
    """Return the least memory of a host; None if it is unknown for one."""
    known = [host.memory.total for host in hosts if host.memory.total is not None]
    return min(known) / GIB if known and len(known) == len(hosts) else None


def _output_logs(session: Session, location: RunLocation) -> str | None:
    """Return how the paths of the launch's logs begin; None if nobody writes them.

    The parent does, if it runs on the host of rank 0, which has the run's directory.
    """
    parent = session.parent
    if session.comm.rank != 0 or parent is None or not parent.is_on_parents_host:
        return None
    name = f"{location.benchmark_type.replace('_', '')}_{location.command}_{location.timestamp}"
    return str(location.directory / name)


def datasize_facts(
    settings: Settings,
    plan: Plan,
    arguments: Sequence[object],
    systemname: str,
    location: RunLocation,
) -> RunFacts:
    """Return the same for a command that computes sizes, which joins no ranks.

    `arguments` are pytest's.
    """
    layout = settings.layout()
    hosts = [host.name for host in settings.hosts] or [socket.gethostname()]
    exec_type: ExecType = "mpi" if settings.wants_ranks else "local"
    return RunFacts(
        run_id=f"{location.timestamp}-{secrets.token_hex(2)}",
        model=plan.model,
        benchmark_type=location.benchmark_type,
        command=location.command,
        mode=settings.mode,
        orgname=settings.orgname,
        systemname=systemname,
        num_processes=sum(layout.ranks_by_host),
        npernode=max(layout.ranks_by_host),
        hosts=hosts,
        exec_type=exec_type,
        launcher=None,
        executed_command=_executed_command(None, arguments),
        working_directory=str(Path.cwd()),
        invocation=_invocation(None, arguments),
        tags=list(settings.tags),
        args=reference_arguments(
            settings,
            request_for(settings, location.benchmark_type).overrides,
            plan.arguments(),
            command=location.command,
            systemname=systemname,
            num_hosts=len(hosts),
            exec_type=exec_type,
        ),
        user_set=_as_json(settings.user_set),
        settings=_in_words(settings_for(settings, location.benchmark_type)),
        parameters=plan.parameters(),
        override_parameters=_as_json(plan.override_parameters()),
        system_info=None,
        system_fingerprint=None,
        request_stream_sha256=[],
        code_image=pointer_to(tree_hash(PACKAGE)),
        pauses=plan.pauses,
    )


def filesystems_of(settings: Settings) -> Filesystems:
    """Return the filesystems of cache and results on this host."""
    found = separation(socket.gethostname(), settings.cache_dir, settings.results_dir)
    return Filesystems.model_validate(asdict(found))


def sources_of_tests(
    config: pytest.Config, settings: Settings, items: Sequence[pytest.Item]
) -> tuple[tuple[str, str], ...]:
    """Return name and digest of the tests' files, of each conftest.py and of the profile."""
    plugins = config.pluginmanager.get_plugins()
    modules = [Path(str(getattr(plugin, "__file__", None))) for plugin in plugins]
    profiles = profile_files(settings)
    files = {
        *(item.path for item in items),
        *(path for path in modules if path.name == "conftest.py"),
        *(one.absolute() for one in profiles if is_file(PROFILE_OPTION, one)),
    }
    return digests(files, config.rootpath)


def _executed_command(launcher: LauncherEnvironment | None, arguments: Sequence[object]) -> str:
    """Return the command line that started a session: the launcher's if it is known."""
    launched = launch_command() or (launching_ancestor() if launcher else None)
    return shlex.join(redact_command(launched or ["pytest", *map(str, arguments)]))


def _invocation(
    launcher: LauncherEnvironment | None, arguments: Sequence[object]
) -> Invocation | None:
    """Return the command that starts the session again; None if its launcher is not visible.

    If our parent process started the ranks, this is pytest's command, which starts them again.
    """
    command: list[str] | None = started_pytest(arguments)
    if launcher is not None and launch_command() is None:
        command = launching_ancestor()
    if command is None:
        return None
    environment = {name: os.environ.get(name) for name in SETTING_VARIABLES}
    return Invocation(command=redact_command(command), environment=redact_environment(environment))


def _as_json(values: Mapping[str, object]) -> Json:
    """Return the user's options for the results, without secrets."""
    return {
        name: value if isinstance(value, bool | int | float) else _text_of_option(name, value)
        for name, value in values.items()
    }


def _in_words(values: Mapping[str, object]) -> Json:
    """Return the same with commas between the values of an option that is repeated."""
    repeated = {
        name: ", ".join(redact_text(str(one)) for one in value)
        for name, value in values.items()
        if isinstance(value, list | tuple) and name != "mpi-params"
    }
    return {**_as_json(values), **repeated}


def _text_of_option(name: str, value: object) -> str:
    if name == "mpi-params" and isinstance(value, list | tuple):
        return str([record_launcher_arguments(str(arguments)) for arguments in value])
    return redact_text(str(value))
