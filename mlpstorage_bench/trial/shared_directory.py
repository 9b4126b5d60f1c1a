"""The rank's directory, which the engines of all benchmark types of a session use together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.storage.directory import RankDirectory


@dataclass
class _Users:
    """A directory that this process has claimed, and the number of its users."""

    directory: RankDirectory
    count: int = 0


_CLAIMED: dict[Path, _Users] = {}


@contextmanager
def claimed(directory: RankDirectory) -> Iterator[None]:
    """Claim a rank's directory, unless this process has; its last user removes it."""
    path = directory.path.absolute()
    users = _CLAIMED.get(path)
    if users is None:
        users = _Users(directory.__enter__())
        _CLAIMED[path] = users
    users.count += 1
    try:
        yield
    finally:
        users.count -= 1
        if not users.count:
            del _CLAIMED[path]
            users.directory.__exit__()
