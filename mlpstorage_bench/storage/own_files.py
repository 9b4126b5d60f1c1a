"""Names of the files that stores make, which distinguish them from foreign files."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from mlpstorage_bench.paths import TEMPORARY
from mlpstorage_bench.process.removal import (
    CLAIM,
    MANIFEST,
    UNLINKED_WHILE_OPEN,
    remove_named,
)
from mlpstorage_bench.storage.files import DATA_SUFFIX

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


def remove_own(directory: Path) -> None:
    """Remove a directory; foreign entries in it stay, and then the directory itself stays too."""
    remove_named(str(directory), OWN_NAMES)
