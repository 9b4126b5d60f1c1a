"""Whether this pytest starts the ranks, and with what command."""

from __future__ import annotations

import os
import sys

import pytest

from mlpstorage_bench import options, registry
from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.mpi.environment import detect_launcher
from mlpstorage_bench.mpi.launch import LaunchPlan, plan_launch, run

_ANSWERS_HERE = (
    *("help", "version", "markers", "showfixtures", "show_fixtures_per_test", "collectonly"),
    *("cacheshow", "setupplan"),
)
"""Options of pytest that print something and run no test: no rank is needed for them."""


def launch_if_wanted(config: pytest.Config) -> int | None:
    """Run the session in ranks of its own and return its exit status; None to run it here."""
    if detect_launcher(os.environ) is not None:
        return None
    if any(config.getoption(name, None) for name in _ANSWERS_HERE):
        return None
    try:
        settings = read_settings(config)
        if not settings.wants_ranks or settings.mode == "whatif":
            return None
        registry.load(registry.DEFAULT).plan(settings.plan_request())
        plan = plan_for(config, settings)
    except MlpsError as error:
        raise pytest.UsageError(str(error)) from error
    sys.stdout.write(f"mlpstorage: launching {plan.shell_line()}\n")
    return run(plan)


def read_settings(config: pytest.Config) -> options.Settings:
    """Return the settings of a session that is about to begin."""
    grace = str(config.getini(options.GRACE_INI))
    return options.read_settings(config.option, os.environ, grace)


def plan_for(config: pytest.Config, settings: options.Settings) -> LaunchPlan:
    """Return the command that would run this session in ranks of its own."""
    color = config.getoption("color", "auto")
    if color == "auto":
        color = "yes" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else "no"
    arguments = options.forwarded_arguments(
        tuple(map(str, config.invocation_params.args)), config.rootpath, color
    )
    return plan_launch(settings.layout(), settings.launch_flags, settings.mpi_bin, arguments)
