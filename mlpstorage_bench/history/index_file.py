"""The index's file: whether it can be believed, and the place of one that cannot be used."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
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


def make_file(results_dir: Path) -> None:
    """Make the index's file, empty, with the mode that new files get there.

    SQLite would make it without write permission for the group, whatever the umask; it gives the
    files beside it the mode of this one.
    """
    with suppress(OSError):  # it exists, or SQLite reports the same error
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(results_dir / INDEX_NAME, flags, 0o666))


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
