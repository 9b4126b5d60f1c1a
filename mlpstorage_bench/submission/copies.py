"""Copies of files, byte for byte: of regular files alone, and never through links."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PART = 1 << 20


def copy_directory(source: Path, target: Path) -> list[str]:
    """Copy a directory to a new one; return a remark on each entry that is left out.

    Links, pipes and devices are left out. OSError if a file cannot be read or written.
    """
    remarks = []
    target.mkdir(parents=True)
    for directory, names, files, descriptor in os.fwalk(source, onerror=_refuse):
        place = Path(directory).relative_to(source)
        for name in sorted(names):
            if stat.S_ISLNK(os.lstat(name, dir_fd=descriptor).st_mode):
                remarks.append(f"{source / place / name} is a link and was not copied")
            else:
                (target / place / name).mkdir()
        remarks += [
            f"{source / place / name} is no regular file and was not copied"
            for name in sorted(files)
            if not _copy(name, descriptor, target / place / name)
        ]
    return remarks


def copy_files(source: Path, files: Iterable[Path], target: Path) -> None:
    """Copy regular files below a directory to another one; OSError if that is not possible."""
    for file in files:
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy_file(file, copy)


def copy_file(source: Path, target: Path) -> bool:
    """Copy a file to a new one; return False if it is a link or no regular file."""
    folder = os.open(source.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _copy(source.name, folder, target)
    finally:
        os.close(folder)


def _copy(name: str, folder: int, target: Path) -> bool:
    status = os.lstat(name, dir_fd=folder)
    if not stat.S_ISREG(status.st_mode):
        return False
    with os.fdopen(os.open(name, _FLAGS, dir_fd=folder), "rb") as content:
        if not stat.S_ISREG(os.fstat(content.fileno()).st_mode):
            return False
        with target.open("xb") as copy:
            shutil.copyfileobj(content, copy, _PART)
    return True


def _refuse(error: OSError) -> None:
    raise error
