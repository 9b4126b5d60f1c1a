"""Entry point of the pytest plugin: decides whether a session uses it, and loads the rest if so.

The import of this module has no side effect. Its hooks import further modules only for a session
that uses the plugin; the hooks of such a session are in `session.hooks`.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.launch.hosts import HOSTS_OPTION
from mlpstorage_bench.options.declared import (
    add_options,
    add_reference_names,
    asks_for_command,
    given_options,
    unknown_arguments,
)
from mlpstorage_bench.options.names import ALIASES_INI, HOSTS_ALIAS
from mlpstorage_bench.process import stderr
from mlpstorage_bench.session import activation, hookspec, stash
from mlpstorage_bench.session.fixtures import (
    checkpointing,
    cluster_info,
    kvcache,
    mlps_run,
    mlps_runs,
    mpi_comm,
    training,
)
from mlpstorage_bench.session.pytest_internals.command_line import (
    keep_file_values,
    known_options,
    option_names,
)

__all__ = [
    "checkpointing",
    "cluster_info",
    "kvcache",
    "mlps_run",
    "mlps_runs",
    "mpi_comm",
    "training",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that users' plugins implement."""
    pluginmanager.add_hookspecs(hookspec)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, object, object]:
    """Join the ranks if the session already uses the plugin; add the reference's option names."""
    stderr.duplicate()
    keep_file_values(early_config, parser, args, _hosts_flags(early_config, parser))
    known = known_options(early_config)
    joining: AbstractContextManager[None] = nullcontext()
    if asks_for_command(known) and not activation.asks_for_help(known):
        from mlpstorage_bench.commands import dispatch

        dispatch.prepare(early_config, parser, args)
    else:
        launcher = activation.launcher_of(early_config)
        if launcher and activation.joins_before_conftests(early_config, parser, args, known):
            from mlpstorage_bench.session import rendezvous

            joining = rendezvous.join_before_conftests(early_config, launcher)
    with joining:
        result = yield
    if early_config.getini(ALIASES_INI):
        add_reference_names(parser, option_names(parser))
        problem = "" if activation.asks_for_help(known) else unknown_arguments(parser, args)
        if problem:
            raise pytest.UsageError(problem)
    if "_ARGCOMPLETE" in os.environ:  # a shell asks for completions
        from mlpstorage_bench.session import completion

        completion.complete_values(parser)
    return result


def _hosts_flags(config: pytest.Config, parser: pytest.Parser) -> set[str]:
    """Return the names of the hosts option: ours, and the reference's unless a plugin owns it."""
    has_alias = bool(config.getini(ALIASES_INI)) and HOSTS_ALIAS not in option_names(parser)
    return {HOSTS_OPTION, *([HOSTS_ALIAS] if has_alias else [])}


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Run a command that prints and exits, or start the ranks, if the options request it."""
    if stash.COMMAND in config.stash:
        from mlpstorage_bench.commands import dispatch

        return dispatch.run(config, config.stash[stash.COMMAND])
    if not given_options(config.option):
        return None
    from mlpstorage_bench.session import relaunch

    return relaunch.launch_if_wanted(config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Open the session if ranks have joined or an option of this plugin is given."""
    for marker in activation.MARKERS:
        config.addinivalue_line("markers", marker)
    launcher = activation.launcher_of(config)
    if stash.COMM in config.stash or given_options(config.option):
        from mlpstorage_bench.session.hooks import open_session

        open_session(config, launcher)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize tests over the plan's cases."""
    for argument, name in registry.case_arguments(metafunc.fixturenames).items():
        from mlpstorage_bench.session.session import cases_of_config

        is_open = stash.SESSION in metafunc.config.stash
        metafunc.parametrize(argument, cases_of_config(metafunc.config, name, is_open=is_open))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Record collection errors for the comparison between ranks."""
    report = yield
    if report.failed:
        error = activation.CollectionError(
            f"{report.nodeid}: {report.longreprtext}", collector.path
        )
        activation.collection_errors(collector.config).append(error)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Open the session and join the ranks, if only the collected tests use this plugin."""
    try:
        registry.names()
    except MlpsError as error:  # of an entry point; collection would show a traceback per test
        raise pytest.UsageError(str(error)) from error
    result = yield
    config = session.config
    if stash.SESSION not in config.stash and activation.is_used(config, session.items):
        from mlpstorage_bench.session.hooks import open_session_after_collection

        open_session_after_collection(config, activation.launcher_of(config), session.items)
    return result
