"""Former names of this package's tests: recorded commands that select them by name still do."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

_RENAMED: Mapping[str, str] = {"test_option": "test_workload"}
"""Former name → name."""
_FILE = "test_kvcache.py"
"""File of the tests."""
_MOST_BYTES = 1 << 20
"""Part of a test file that is searched for a test."""
_KEYWORDS = "-k"
"""Option of pytest that selects tests by words of their names."""


def with_current_names(
    command: Sequence[str], tests: Sequence[str], directory: Path
) -> tuple[list[str], dict[str, str]]:
    """Return a command with today's names of tests, and the names that were replaced.

    `tests` are the node IDs of its run, which was started in `directory`. A test that its file
    still defines keeps its name.
    """
    former = _former_names(tests, directory)
    words, before = [], ""
    for word in command:
        words.append(_renamed(word, before, former))
        before = word
    return words, former if words != list(command) else {}


def with_current_names_in(
    arguments: str, tests: Sequence[str], directory: Path
) -> tuple[str, dict[str, str]]:
    """Return arguments in one text, as PYTEST_ADDOPTS has them, with today's names of tests."""
    try:
        words, renamed = with_current_names(shlex.split(arguments), tests, directory)
    except ValueError:  # pytest will report it
        return arguments, {}
    return (shlex.join(words), renamed) if renamed else (arguments, {})


def _former_names(tests: Sequence[str], directory: Path) -> dict[str, str]:
    """Return former name → name of the tests that ran and no longer exist."""
    found: dict[str, str] = {}
    for test in tests:
        path, _, rest = test.partition("::")
        name = rest.partition("[")[0]
        is_ours = path.rpartition("/")[2] == _FILE and name in _RENAMED
        if is_ours and not _defines(path, name, directory):
            found[name] = _RENAMED[name]
    return found


def _defines(path: str, name: str, directory: Path) -> bool:
    """Whether the file of a test, below the root directory of its run, still defines it."""
    for root in (directory, *directory.parents):
        file = root / path
        if os.path.isfile(file):  # noqa: PTH113 - False where nobody may look
            try:
                with file.open("rb") as opened:
                    return f"def {name}(".encode() in opened.read(_MOST_BYTES)
            except OSError:  # pytest will report it
                return True
    return False


def _renamed(word: str, before: str, former: Mapping[str, str]) -> str:
    if before == _KEYWORDS:
        return _with_names(word, r"\b", former)
    if word.startswith(_KEYWORDS):
        return _KEYWORDS + _with_names(word.removeprefix(_KEYWORDS), r"\b", former)
    return _with_names(word, "(?<=::)", former)


def _with_names(text: str, beginning: str, former: Mapping[str, str]) -> str:
    for name, current in former.items():
        text = re.sub(rf"{beginning}{name}\b", current, text)
    return text
