"""All command-line options, registered with pytest, also under the names of the reference."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from typing import Any

import pytest

from mlpstorage_bench.options.names import (
    ALIASES_INI,
    DEFAULT_GRACE,
    DEFAULT_STARTUP,
    GRACE_INI,
    MPI_INI,
    STARTUP_INI,
)
from mlpstorage_bench.options.of_commands import COMMAND_OPTIONS
from mlpstorage_bench.options.of_compare import COMPARE_OPTIONS
from mlpstorage_bench.options.of_gate import GATE_OPTIONS
from mlpstorage_bench.options.of_history import HISTORY_OPTIONS
from mlpstorage_bench.options.of_launch import LAUNCH_OPTIONS
from mlpstorage_bench.options.of_reference import counterparts, may_have_counterpart
from mlpstorage_bench.options.of_run import RUN_OPTIONS
from mlpstorage_bench.options.of_submission import SUBMISSION_OPTIONS
from mlpstorage_bench.options.of_validation import VALIDATION_OPTIONS

GROUP = "mlpstorage"

OPTIONS = (
    *LAUNCH_OPTIONS,
    *RUN_OPTIONS,
    *HISTORY_OPTIONS,
    *COMPARE_OPTIONS,
    *GATE_OPTIONS,
    *VALIDATION_OPTIONS,
    *SUBMISSION_OPTIONS,
    *COMMAND_OPTIONS,
)


def add_options(parser: pytest.Parser) -> None:
    """Declare every option under its own name, and the ini-file settings."""
    group = parser.getgroup(GROUP)
    for option in OPTIONS:
        group.addoption(option.flag, dest=option.dest, help=option.help, **option.keywords)
    parser.addini(
        ALIASES_INI,
        "also accept the names of the reference implementation (--hosts, --exec-type, …)",
        type="bool",
        default=True,
    )
    parser.addini(
        GRACE_INI,
        "seconds that other ranks may take to arrive once a rank has failed; then all are aborted "
        f"({DEFAULT_GRACE})",
        default=None,  # so that one that is set can be told from none
    )
    parser.addini(
        STARTUP_INI,
        "seconds that ranks may take to come together at the start; then they end "
        f"({DEFAULT_STARTUP})",
        default=None,
    )
    parser.addini(
        MPI_INI,
        "auto: ranks that a launcher started become one session where one of our options, settings,"
        " fixtures or markers is used; on: always; off: never",
        default="auto",
    )


def add_reference_names(parser: pytest.Parser, owned: Collection[str] = ()) -> list[str]:
    """Declare the reference's names as aliases; return the names that other plugins own.

    `owned` are names that have an option, where pytest does not refuse a second one by itself. Call
    it after the initial conftests are loaded: the second plugin that registers a name gets the
    error, and this order makes it this plugin.
    """
    group = parser.getgroup(GROUP)
    taken = []
    for option in OPTIONS:
        if option.reference_name is None:
            continue
        flag = f"--{option.reference_name}"
        if flag in owned:
            taken.append(flag)
            continue
        help_text = f"Alias of {option.flag}: its name in the reference implementation."
        try:
            group.addoption(flag, dest=option.dest, help=help_text, **option.keywords)
        except (ValueError, argparse.ArgumentError):
            taken.append(flag)
    return taken


def has_reference_name(arguments: Sequence[str]) -> bool:
    """Whether an argument is the reference's name of one of our options."""
    aliases = {f"--{option.reference_name}" for option in OPTIONS if option.reference_name}
    return not aliases.isdisjoint(argument.partition("=")[0] for argument in arguments)


def unknown_arguments(parser: pytest.Parser, arguments: Sequence[str]) -> str:
    """Return a message on unknown arguments, if one of them has another form here; else ''."""
    if not may_have_counterpart(arguments):
        return ""
    _, unknown = parser.parse_known_and_unknown_args(arguments)
    lines = counterparts(unknown, arguments, [option.flag for option in OPTIONS])
    if not lines:
        return ""
    return "\n  ".join([f"unrecognized arguments: {' '.join(unknown)}. In mlpstorage:", *lines])


_COMMANDS = frozenset(
    option.name
    for option in (
        *HISTORY_OPTIONS,
        *COMPARE_OPTIONS,
        *VALIDATION_OPTIONS,
        *SUBMISSION_OPTIONS,
        *COMMAND_OPTIONS,
    )
)
"""Options that print something and exit; so does `--mlps-gate` with a run's id."""


def asks_for_command(options: argparse.Namespace) -> bool:
    """Whether the options ask for something to be printed in place of a session."""
    given = given_options(options)
    return bool(given.get("gate")) or not _COMMANDS.isdisjoint(given)


def given_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that the user set, by name without prefix."""
    return {
        option.name: getattr(options, option.dest)
        for option in OPTIONS
        if getattr(options, option.dest, None) not in (None, False)
    }
