"""The command line: before pytest has parsed it, and how its parser is changed."""

from __future__ import annotations

import argparse
import copy
import os
import shlex
from collections.abc import Collection, Mapping

import pytest


def known_options(config: pytest.Config) -> argparse.Namespace:
    """Return the options that are parsed before conftests are loaded."""
    known: argparse.Namespace = config.known_args_namespace
    return known


def keep_file_values(
    config: pytest.Config, parser: pytest.Parser, args: list[str], flags: Collection[str]
) -> None:
    """Make `@FILE` after one of these options its value, as `--option=@FILE` is.

    pytest replaces an argument that begins with @ by the lines of the file: of several hosts, the
    first would be the option's value, and the others paths of tests. Call it before the initial
    conftests are loaded; `args` is changed.
    """
    kept: list[str] = []
    for argument in args:
        if argument.startswith("@") and kept and kept[-1] in flags:
            kept[-1] += f"={argument}"
        else:
            kept.append(argument)
    if kept != args:
        args[:] = kept
        config.known_args_namespace = parser.parse_known_args(
            args, namespace=copy.copy(config.option)
        )


def set_completers(parser: pytest.Parser, completers: Mapping[str, object | None]) -> None:
    """Give options functions for argcomplete that complete their values, or None for its own.

    Before pytest 9.1 its parser makes argparse's anew each time.
    """

    def set_all(made: argparse.ArgumentParser) -> argparse.ArgumentParser:
        for flag, completer in completers.items():
            action = made._option_string_actions.get(flag)  # noqa: SLF001 - argparse has no other
            if action is None:
                continue
            action.completer = completer  # type: ignore[attr-defined] # as argcomplete has it
            if action.nargs == "?":  # argcomplete would repeat the option before its value
                action.nargs = None
        return made

    if hasattr(parser, "_getparser"):
        make = parser._getparser  # noqa: SLF001 - as above
        parser._getparser = lambda: set_all(make())  # noqa: SLF001 - as above
    else:
        set_all(parser.optparser)


def load_no_conftest(config: pytest.Config) -> None:
    """Prevent pytest from loading a conftest; call it before the initial ones are loaded."""
    config.known_args_namespace.noconftest = True


def option_names(parser: pytest.Parser) -> set[str]:
    """Return the names of all options; empty from pytest 9.1, which refuses duplicates itself.

    Before 9.1, a refused registration changes the result of `config.getoption(name)`, and up to
    8.4 argparse refuses it only when it parses the command line.
    """
    if pytest.version_tuple >= (9, 1):
        return set()
    groups = [*parser._groups, parser._anonymous]  # noqa: SLF001 - past versions do not change
    return {name for group in groups for option in group.options for name in option.names()}


def words_given(config: pytest.Config) -> list[str]:
    """Return the arguments of the command line, of PYTEST_ADDOPTS and of `addopts`."""
    from_environment = shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
    return [*map(str, config.invocation_params.args), *from_environment, *config.getini("addopts")]
