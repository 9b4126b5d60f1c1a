"""The cache directory: which directories are accepted, and each rank's subdirectory.

A rank's files lie in `<cache-dir>/rank_<N>/`, claimed by a lock for as long as the rank uses it.
They are removed at the end, after a failure and after an interrupt; should the rank be killed, a
reaper (a small process that outlives it) removes them. Nothing else in there is removed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
from pathlib import Path
from typing import Self

from mlpstorage_bench.errors import InvalidInputError, StorageError
from mlpstorage_bench.paths import CACHE_DIR_OPTION as OPTION
from mlpstorage_bench.process import reaper
from mlpstorage_bench.storage.own_files import CLAIM, OWN_NAMES, is_own, remove_own

_ACCEPTED = "a directory of your own that can be written, on the storage to be measured"

_SYSTEM_TREES = frozenset(
    Path("/") / name
    for name in ("bin", "boot", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "usr")
)
"""No cache directory may be inside these."""
_SYSTEM_DIRECTORIES = frozenset(
    Path("/") / name
    for name in (
        "",
        "home",
        "media",
        "mnt",
        "opt",
        "root",
        "srv",
        "tmp",
        "var",
        "var/lib",
        "var/tmp",
    )
)
"""These are refused as cache directories themselves; directories inside them are accepted."""
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a tmpfs in a system tree; directories in it are fine


def check_cache_dir(path: Path) -> None:
    """Raise InvalidInputError if the directory is not allowed or not writable."""
    resolved = path.resolve()
    in_shared_memory = _SHARED_MEMORY in resolved.parents
    in_system_tree = any(tree == resolved or tree in resolved.parents for tree in _SYSTEM_TREES)
    if resolved in _SYSTEM_DIRECTORIES or (in_system_tree and not in_shared_memory):
        raise InvalidInputError(
            OPTION, str(path), _ACCEPTED, hint=f"{resolved} is a system directory"
        )
    existing = next(p for p in (resolved, *resolved.parents) if p.exists())
    if not existing.is_dir():
        raise InvalidInputError(OPTION, str(path), _ACCEPTED, hint=f"{existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InvalidInputError(OPTION, str(path), _ACCEPTED, hint=f"{existing} is not writable")


class RankDirectory:
    """`<cache-dir>/rank_<N>/`: created and locked on entry, removed on exit."""

    def __init__(self, cache_dir: Path, rank: int) -> None:
        self.path = cache_dir / f"rank_{rank}"
        self.can_be_locked = True
        """Whether the filesystem supports locks; without, a second run in it is not detected."""
        self._cache_dir = cache_dir
        self._removes_cache_dir = not cache_dir.exists()
        self._claim: int | None = None
        self._reaper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._check_owner()
            self._claim = self._lock()
            self._remove_leftovers()
            self._reaper = reaper.start("remove", str(self.path), OWN_NAMES)
        except OSError as error:
            self._release()
            raise InvalidInputError(
                OPTION, str(self._cache_dir), _ACCEPTED, hint=str(error)
            ) from error
        except InvalidInputError:
            self._release()
            raise
        return self

    def _remove_leftovers(self) -> None:
        """Remove the files of a run that was killed."""
        for leftover in self.path.iterdir():
            if leftover.is_dir() and is_own(leftover):
                remove_own(leftover)
            elif leftover.name != CLAIM and is_own(leftover):
                leftover.unlink()

    def _release(self) -> None:
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None
        if self._reaper is not None:
            reaper.stop(self._reaper)
            self._reaper = None

    def __exit__(self, *_exception: object) -> None:
        try:
            remove_own(self.path)
        except OSError as error:
            raise StorageError("removing", str(self.path), str(error)) from error
        finally:
            self._release()
        if self._removes_cache_dir:
            self._remove_cache_dir()

    def _check_owner(self) -> None:
        """Refuse a symbolic link, and a directory with files of other origin."""
        hint = ""
        if self.path.is_symlink():
            hint = f"{self.path} is a symbolic link"
        elif self.path.exists():
            foreign = [path for path in self.path.iterdir() if not is_own(path)]
            if foreign:
                hint = f"{foreign[0]} is not a cache file, and {self.path} is removed at the end"
        if hint:
            raise InvalidInputError(OPTION, str(self._cache_dir), _ACCEPTED, hint=hint)

    def _lock(self) -> int:
        """Open and lock the claim file; retry if another process removed it meanwhile."""
        while True:
            self.path.mkdir(parents=True, exist_ok=True)
            claim = self.path / CLAIM
            try:
                descriptor = os.open(claim, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue  # its owner removed the directory just now
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise InvalidInputError(
                    OPTION,
                    str(self._cache_dir),
                    "a directory that no other run uses",
                    hint=f"{self.path} is in use by a running benchmark",
                ) from None
            except OSError as error:
                if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
                    os.close(descriptor)
                    raise
                self.can_be_locked = False
                return descriptor
            if claim.exists() and os.path.samestat(os.fstat(descriptor), claim.stat()):
                return descriptor
            os.close(descriptor)

    def _remove_cache_dir(self) -> None:
        try:
            self._cache_dir.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
                raise StorageError("removing", str(self._cache_dir), str(error)) from error
