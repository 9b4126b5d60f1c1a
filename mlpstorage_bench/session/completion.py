"""Completion of our options' values in a shell, where pytest completes: with argcomplete.

pytest completes names of options, and argcomplete the values of those with choices. Imported only
while a shell asks for completions.
"""

from __future__ import annotations

import os
import re
import sqlite3
from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import Protocol, get_args

import pytest

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.export.write import FORMATS
from mlpstorage_bench.history.archive import LATEST, History
from mlpstorage_bench.history.filters import RunFilter
from mlpstorage_bench.options.declared import OPTIONS
from mlpstorage_bench.options.option import Option
from mlpstorage_bench.options.progress_mode import Mode
from mlpstorage_bench.options.settings import (
    CLOSED_PROFILE,
    DEFAULT_PROFILE,
    RESULTS_DIR_OPTION,
    results_dir_of,
)
from mlpstorage_bench.paths import is_directory
from mlpstorage_bench.session.pytest_internals.command_line import set_completers

_WORD = re.compile(r"[\w.-]+", re.ASCII)
MOST_RUNS = 50
"""Runs whose ids are offered, the newest ones."""


class Completer(Protocol):
    """Function that argcomplete calls for the values of an option."""

    def __call__(self, *, prefix: str, parsed_args: Namespace, **_more: object) -> Iterable[str]:
        """Return values that begin with the prefix, or more; those that do not are left out."""
        ...


def complete_values(parser: pytest.Parser) -> None:
    """Let the values of our options be completed; does nothing without argcomplete."""
    set_completers(
        parser,
        {
            flag: completer_of(option)
            for option in OPTIONS
            for flag in (option.flag, f"--{option.reference_name}")
        },
    )


def completer_of(option: Option) -> Completer | None:
    """Return the completer of an option by its kind of value; None for argcomplete's own.

    That one completes choices, and files for all other options.
    """
    own = _OF_OPTIONS.get(option.name)
    return own or _OF_KINDS.get(str(option.keywords.get("metavar", "")))


def _directories(*, prefix: str, **_more: object) -> Iterable[str]:
    from argcomplete.completers import DirectoriesCompleter  # noqa: PLC0415 - an optional package

    return DirectoriesCompleter()(prefix)


def _run_ids(*, parsed_args: Namespace, **_more: object) -> Iterable[str]:
    """Return the ids of the newest runs of the results directory that is given or the default."""
    try:
        results_dir = results_dir_of(parsed_args, os.environ)
        if not is_directory(RESULTS_DIR_OPTION, results_dir):
            return []
        with History(results_dir) as history:
            ids = [run.run_id for run in history.runs(RunFilter(last=MOST_RUNS))]
    except (MlpsError, OSError, sqlite3.Error):
        return []  # nothing to complete: a run of the command says what is wrong
    words = [
        one for one in ids if _WORD.fullmatch(one)
    ]  # a shell shows and inserts them as they are
    return [LATEST, *words] if words else []


def _profiles(*, prefix: str, **_more: object) -> Iterable[str]:
    from argcomplete.completers import FilesCompleter  # noqa: PLC0415 - an optional package

    return [DEFAULT_PROFILE, CLOSED_PROFILE, *FilesCompleter(("yaml", "yml"))(prefix)]


def _ways_to_show_progress(**_more: object) -> Iterable[str]:
    return [*get_args(Mode), "lines:"]


def _export_formats(**_more: object) -> Iterable[str]:
    return [f"{name}:" for name in FORMATS]


_OF_KINDS: Mapping[str, Completer] = {"DIR": _directories, "ID": _run_ids, "RUN": _run_ids}
"""Completers by how the help names a value."""
_OF_OPTIONS: Mapping[str, Completer] = {
    "export": _export_formats,
    "profile": _profiles,
    "progress": _ways_to_show_progress,
}
