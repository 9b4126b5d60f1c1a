"""The index's file: whether it can be believed, and the place of one that cannot be used."""

from __future__ import annotations

import os
import stat
from pathlib import Path

INDEX_NAME = ".mlps-history.sqlite"
_PARTS = ("-journal", "-wal", "-shm", "")
"""Ends of the names of an index's files."""


class UntrustedIndexError(Exception):
    """The file may tell what the metadata does not: another user made it, or it is a link."""


def check_owner(results_dir: Path) -> None:
    """Raise UntrustedIndexError if the index's files are links or another user's.

    The owner of the directory could replace every file in it, and root every file.
    """
    trusted = {0, os.geteuid(), results_dir.stat().st_uid}
    for end in _PARTS:
        file = results_dir / f"{INDEX_NAME}{end}"
        try:
            status = file.lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(status.st_mode):
            raise UntrustedIndexError(f"{file.name} is no regular file")
        if status.st_uid not in trusted:
            raise UntrustedIndexError(f"{file.name} belongs to another user ({status.st_uid})")


def set_aside(results_dir: Path) -> Path:
    """Rename the index and its journal, which the next one must not use; return its new path."""
    file = results_dir / INDEX_NAME
    number = 1
    while (aside := file.with_name(f"{INDEX_NAME}.aside-{number}")).exists():
        number += 1
    for end in _PARTS:
        part = file.with_name(f"{INDEX_NAME}{end}")
        if part.exists():
            part.rename(aside.with_name(f"{aside.name}{end}"))
    return aside
