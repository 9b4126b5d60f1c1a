"""Names of the files that stores make, which distinguish them from foreign files."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection
from pathlib import Path

from mlpstorage_bench.paths import TEMPORARY
from mlpstorage_bench.process.removal import (
    CLAIM,
    MANIFEST,
    UNLINKED_WHILE_OPEN,
    remove_named,
)
from mlpstorage_bench.storage.files import DATA_SUFFIX

_BLOCK_BYTES = 512
"""Unit of `st_blocks`, whatever the filesystem."""
BLOCKS_DIRECTORY = "blocks"
OWN_NAMES = (
    rf"[0-9a-f]{{32}}(\.\d+)?\{DATA_SUFFIX}(\.tmp)?"  # an entry, or a block of one
    rf"|slab-\d{{3,}}\{DATA_SUFFIX}"
    rf"|\.[0-9a-z-]+-probe\{DATA_SUFFIX}"
    rf"|\{CLAIM}|{BLOCKS_DIRECTORY}|[0-9a-f]{{2}}"
    rf"|{re.escape(MANIFEST)}"
    rf"|{TEMPORARY.pattern}"  # the list while it is written
)
"""A regular expression: the whole name of each file and directory below a rank's directory."""
OWN = re.compile(OWN_NAMES)


def is_own(path: Path) -> bool:
    """Return whether a file, or a directory with all its contents, has a name that stores give.

    Links are none of theirs. What is removed meanwhile was, and what a filesystem keeps of one of
    their files.
    """
    if UNLINKED_WHILE_OPEN.fullmatch(path.name):
        return True
    if not OWN.fullmatch(path.name):
        return False
    try:
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            return all(is_own(below) for below in path.iterdir())
    except FileNotFoundError:
        return True
    return stat.S_ISREG(mode)


def size_of_own(directory: Path, kept: Collection[str] = ()) -> int:
    """Return the bytes that files of stores take in a directory and below, but in `kept` entries.

    Entries that others remove meanwhile, or that cannot be seen, take none.
    """
    try:
        with os.scandir(directory) as found:
            own = [one for one in found if OWN.fullmatch(one.name) and one.name not in kept]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return 0
    return sum(map(_size_of, own))


def _size_of(entry: os.DirEntry[str]) -> int:
    if entry.is_dir(follow_symlinks=False):
        return size_of_own(Path(entry.path))
    try:
        return entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES
    except FileNotFoundError:
        return 0


def remove_own(directory: Path) -> None:
    """Remove a directory; foreign entries in it stay, and then the directory itself stays too."""
    remove_named(str(directory), OWN_NAMES)
