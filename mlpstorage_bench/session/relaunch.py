"""Launch of the session's ranks by this pytest, and its command."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence

import pytest

from mlpstorage_bench.errors import LaunchError, MlpsError
from mlpstorage_bench.escaping import for_terminal
from mlpstorage_bench.launch.command import LaunchPlan, plan_launch
from mlpstorage_bench.launch.environment import detect_launcher
from mlpstorage_bench.launch.hosts import HOSTS_OPTION
from mlpstorage_bench.launch.monitor import Limits
from mlpstorage_bench.launch.parent import run
from mlpstorage_bench.options.names import DEFAULT_GRACE, GRACE_INI, MPI_INI
from mlpstorage_bench.options.of_reference import check_hosts_are_one_word
from mlpstorage_bench.options.settings import Settings, read_settings, startup_limit_s
from mlpstorage_bench.paths import look_up
from mlpstorage_bench.process.stdout import write_lines
from mlpstorage_bench.results.final_status import record_final_status
from mlpstorage_bench.session.activation import mpi_mode, runs_no_test
from mlpstorage_bench.session.type_requests import check_some_type

COLUMNS_VARIABLE = "MLPS_PROGRESS_COLUMNS"
"""Environment variable by which the parent tells rank 0 the width of its terminal."""


def launch_if_wanted(config: pytest.Config) -> int | None:
    """Run the session in ranks of its own and return its exit status; None to run it here."""
    if detect_launcher(os.environ) is not None:
        return None
    if runs_no_test(config):
        return None
    try:
        settings = settings_of(config)
        if not settings.wants_ranks or settings.mode == "whatif":
            return None
        if mpi_mode(config) == "off":
            raise pytest.UsageError(
                f"{MPI_INI}: got off, but the options ask for ranks; accepted with them: auto, on. "
                "Leave out hosts and numbers of ranks, or add --mlps-exec-type=local"
            )
        check_some_type(settings)
        plan = plan_for(config, settings)
        limits = _limits(config, settings)
    except MlpsError as error:
        raise pytest.UsageError(str(error)) from error
    notes = (f"note: {note}" for note in plan.notes)
    lines = (f"launching {plan.shell_line()}", *notes)
    write_lines(f"mlpstorage: {for_terminal(line)}" for line in lines)
    try:
        ending = run(plan, limits, _variables_for_ranks())
    except LaunchError as error:
        raise pytest.UsageError(str(error)) from error
    reason = ending.reason or "its results could not be written"
    for metadata in ending.run_metadata:
        record_final_status(metadata, ending.run_status, ending.status, reason)
    return ending.status


def _limits(config: pytest.Config, settings: Settings) -> Limits:
    """Return the time limits of the parent.

    A step beside tests may take the start-up limit plus the limit of a test. A gate that may run
    more trials has no limit.
    """
    startup_s, grace_s = startup_limit_s(config), settings.failure_grace_s
    end_s = max(grace_s, Limits.end_s)
    late_s = startup_s + grace_s  # ranks that have started print their stacks before that
    if settings.timeout_s is None:
        return Limits(grace_s, end_s, late_s)
    test_s = settings.timeout_s + 3 * grace_s
    may_go_on = settings.gate.undecided == "retry"
    return Limits(grace_s, end_s, late_s, test_s, None if may_go_on else test_s + startup_s)


def settings_of(config: pytest.Config) -> Settings:
    """Return the settings of a session, read from options, environment and ini-file."""
    given = [str(argument) for argument in config.invocation_params.args]
    here = config.invocation_params.dir
    check_hosts_are_one_word(given, lambda path: look_up(HOSTS_OPTION, here / path) is not None)
    return read_settings(config.option, os.environ, config.getini(GRACE_INI) or DEFAULT_GRACE)


def plan_for(config: pytest.Config, settings: Settings) -> LaunchPlan:
    """Return the command that would run this session in ranks of its own."""
    given = [str(argument) for argument in config.invocation_params.args]
    arguments = [*without_whatif(given), *_pinned(config)]
    return plan_launch(settings.layout(), settings.launch_flags, settings.mpi_bin, arguments)


def without_whatif(arguments: Sequence[str]) -> list[str]:
    """Return the arguments without `--mlps-mode whatif`."""
    kept: list[str] = []
    for argument in arguments:
        if argument == "whatif" and kept and kept[-1] == "--mlps-mode":
            kept.pop()
        elif argument != "--mlps-mode=whatif":
            kept.append(argument)
    return kept


def can_show_region(environ: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Whether an output can show a region for the progress: a terminal that moves its cursor."""
    return is_terminal and environ.get("TERM", "") not in ("", "dumb")


def _variables_for_ranks() -> dict[str, str]:
    """Return the width of the terminal that this process, the parent, writes to, for rank 0."""
    if not can_show_region(os.environ, is_terminal=sys.stdout.isatty()):
        return {}
    return {COLUMNS_VARIABLE: str(shutil.get_terminal_size().columns)}


def _pinned(config: pytest.Config) -> list[str]:
    """Return arguments that fix the root directory, the configuration file and colors for ranks.

    Without them a rank may choose others: pytest determines its root before it knows our options,
    and takes their values for paths of tests; a rank's standard output may be a terminal where this
    process has none.
    """
    color = config.getoption("color", "auto")
    if color == "auto":
        color = "yes" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else "no"
    pinned = [f"--rootdir={config.rootpath}", f"--color={color}"]
    if config.inipath is not None:
        pinned.append(f"--config-file={config.inipath}")
    return pinned
