"""Whether files and directories of the tree to be checked are there."""

from __future__ import annotations

from pathlib import Path

from mlpstorage_bench.leaves.leaf import entries
from mlpstorage_bench.paths import is_directory, is_file

VALIDATE_OPTION = "--mlps-validate"


def has_file(path: Path) -> bool:
    """Whether a regular file is there; InvalidInputError where the system refuses to look."""
    return is_file(VALIDATE_OPTION, path)


def has_directory(path: Path) -> bool:
    """Whether a directory is there; InvalidInputError where the system refuses to look."""
    return is_directory(VALIDATE_OPTION, path)


def names_in(directory: Path, *, directories: bool) -> list[str]:
    """Return the names of a directory's directories, or of its other entries; no dot files."""
    return [
        entry.name
        for entry in entries(directory)
        if has_directory(entry) == directories and not entry.name.startswith(".")
    ]
