"""Files that are dropped from the page cache, and the pages of them that stay there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.storage.page_counts import count_pages

_DROPS = 2
"""Attempts to drop cached pages: the first may find some that another processor still holds."""


@dataclass(frozen=True)
class DroppedFiles:
    """Files after their pages were dropped."""

    left_pages: int | None
    """Pages that are still in the page cache; None if no call counts them."""
    problem: str = ""
    """Reason why pages were not dropped or counted; '' if they were."""


def drop_files(paths: Iterable[Path]) -> DroppedFiles:
    """Drop the pages of complete files from the page cache, and count those that are left."""
    left = 0
    for path in paths:
        try:
            left += _drop(path)
        except OSError as error:
            return DroppedFiles(None, f"{path}: {error.strerror}")
    return DroppedFiles(left)


def _drop(path: Path) -> int:
    """Drop the pages of one file, and return how many are left."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        if not size:
            return 0
        os.fdatasync(descriptor)  # pages that are not written yet cannot be dropped
        for _ in range(_DROPS):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        return count_pages(descriptor, size).cached
    finally:
        os.close(descriptor)
