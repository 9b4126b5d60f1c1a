"""All command-line options, registered with pytest, also under the names of the reference."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest

from mlpstorage_bench.options.ini_settings import INI_SETTINGS
from mlpstorage_bench.options.of_commands import COMMAND_OPTIONS
from mlpstorage_bench.options.of_compare import COMPARE_OPTIONS
from mlpstorage_bench.options.of_gate import GATE_OPTIONS
from mlpstorage_bench.options.of_history import HISTORY_OPTIONS
from mlpstorage_bench.options.of_launch import LAUNCH_OPTIONS
from mlpstorage_bench.options.of_reference import counterparts, may_have_counterpart
from mlpstorage_bench.options.of_run import RUN_OPTIONS
from mlpstorage_bench.options.of_submission import SUBMISSION_OPTIONS
from mlpstorage_bench.options.of_validation import VALIDATION_OPTIONS
from mlpstorage_bench.options.option import Option

GROUP = "mlpstorage"

GROUPS: Mapping[str, tuple[Option, ...]] = {
    "Hosts, ranks and launcher": LAUNCH_OPTIONS,
    "A run": RUN_OPTIONS,
    "History": HISTORY_OPTIONS,
    "Comparison": COMPARE_OPTIONS,
    "Gate": GATE_OPTIONS,
    "Checking results": VALIDATION_OPTIONS,
    "Handing in": SUBMISSION_OPTIONS,
    "Other commands": COMMAND_OPTIONS,
}
"""Title of a group → its options."""
OPTIONS = tuple(itertools.chain.from_iterable(GROUPS.values()))


def add_options(parser: pytest.Parser) -> None:
    """Declare every option under its own name, and the ini-file settings."""
    group = parser.getgroup(GROUP)
    for option in OPTIONS:
        group.addoption(option.flag, dest=option.dest, help=option.help, **option.keywords)
    for setting in INI_SETTINGS:
        parser.addini(setting.name, setting.help, type=setting.type, default=setting.default)


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
