"""A directory that appears with all its content, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlpstorage_bench.paths import TEMPORARY, is_directory, temporary_name


@contextmanager
def whole_directory(option: str, directory: Path) -> Iterator[Path]:
    """Yield where to write the content of a directory that an option names; OSError on failure.

    A new directory appears by one rename. An empty one that exists may be the root of a filesystem:
    its entries are moved into it one by one, out of a temporary directory in it, which is removed
    last. A killed process leaves the temporary directory, which `left_by_kill` recognises.
    """
    is_new = not is_directory(option, directory)
    folder = directory.parent if is_new else directory
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / temporary_name()
    temporary.mkdir()
    try:
        yield temporary
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    if is_new:
        temporary.rename(directory)
        return
    for entry in sorted(temporary.iterdir()):
        entry.rename(directory / entry.name)
    temporary.rmdir()


def left_by_kill(name: str) -> bool:
    """Return whether an entry of a directory is what a killed process has left of its content."""
    return TEMPORARY.fullmatch(name) is not None
