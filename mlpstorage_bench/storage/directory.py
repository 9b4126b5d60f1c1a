"""The cache directory: which directories are accepted, and each rank's subdirectory.

A rank's files lie in `<cache-dir>/rank_<N>/`, claimed by a lock for as long as the rank uses it.
They are removed at the end, after a failure and after an interrupt; should the rank be killed, or
interrupted while it removes them, a reaper (a small process that outlives it) removes them. Files
of a directory with a list of them stay for a later run, also if the rank is killed. Nothing else in
there is removed.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Self

from mlpstorage_bench.errors import InvalidInputError, StorageError
from mlpstorage_bench.paths import CACHE_DIR_OPTION as OPTION
from mlpstorage_bench.paths import look_up
from mlpstorage_bench.process import reaper
from mlpstorage_bench.process.removal import MANIFEST
from mlpstorage_bench.process.stderr import say
from mlpstorage_bench.storage.claim import Claim, RefusedDirectoryError, others_can_replace
from mlpstorage_bench.storage.own_files import OWN_NAMES

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
    try:
        resolved = path.resolve()
        existing = next(p for p in (resolved, *resolved.parents) if p.exists())
    except (OSError, RuntimeError, ValueError) as error:  # too long, hidden, or links in a circle
        raise _refusal(path, str(error)) from error
    if path.is_symlink() and not path.exists():
        raise _refusal(path, f"{path} is a link to a directory that does not exist")
    in_shared_memory = _SHARED_MEMORY in resolved.parents
    in_system_tree = any(tree == resolved or tree in resolved.parents for tree in _SYSTEM_TREES)
    if resolved in _SYSTEM_DIRECTORIES or (in_system_tree and not in_shared_memory):
        raise _refusal(path, _of_system(resolved))
    if not existing.is_dir():
        raise _refusal(path, f"{existing} is a file")
    hint = missing_parent(resolved)
    if hint:
        raise _refusal(path, hint, "a directory whose parent exists")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise _refusal(path, f"{existing} is not writable: name another, or have that changed")


def _of_system(directory: Path) -> str:
    """Return why a directory of the operating system is refused, and what is accepted instead."""
    if directory in _SYSTEM_DIRECTORIES:
        return f"{directory} is a system directory: name one in it, like {directory / 'cache'}"
    return f"{directory} is a system directory: name one on the storage to be measured"


def missing_parent(cache_dir: Path) -> str:
    """Return a sentence if the parent of a cache directory does not exist; '' if it does.

    Such a path names no storage: what lies below its part that exists is another filesystem.
    """
    parent = cache_dir.resolve().parent
    if parent.is_dir():
        return ""
    return f"{parent} does not exist. Is the storage mounted? If it is, make the directory"


def _refusal(cache_dir: Path, hint: str, accepted: str = _ACCEPTED) -> InvalidInputError:
    return InvalidInputError(OPTION, str(cache_dir), accepted, hint=hint)


class RankDirectory:
    """`<cache-dir>/rank_<N>/`: created and claimed on entry, removed on exit.

    With `finds`, files that an earlier run has left stay on entry; those with a list also stay on
    exit, until `leaves` is changed.
    """

    def __init__(
        self, cache_dir: Path, rank: int, *, prefix: str = "rank", finds: bool = False
    ) -> None:
        self.path = cache_dir / f"{prefix}_{rank}"
        self.leaves = False
        """Whether the files stay on exit, for a later run; after a kill, those with a list stay."""
        self._finds = finds
        self._cache_dir = cache_dir
        self._removes_cache_dir = not cache_dir.exists()
        self._claim: Claim | None = None
        self._reaper: subprocess.Popen[bytes] | None = None

    @property
    def has_list(self) -> bool:
        """Whether the directory has a list of files, of any run."""
        return look_up(OPTION, self.path / MANIFEST) is not None

    @property
    def can_be_locked(self) -> bool:
        """Whether the filesystem has locks; without, a second run in it is not detected."""
        return self._claim is None or self._claim.can_be_locked

    @property
    def can_be_replaced(self) -> bool:
        """Whether other users can put another directory in this one's place."""
        return others_can_replace(self._cache_dir)

    def __enter__(self) -> Self:
        try:
            self._cache_dir.mkdir(parents=True, exist_ok=True)
            self._claim = Claim(self.path)
            if self._finds:
                self.leaves = self.has_list
            else:
                self._claim.remove_contents()  # of a run that was killed
            self._reaper = reaper.start("remove", str(self.path.absolute()), OWN_NAMES)
        except (RefusedDirectoryError, OSError) as error:
            self._release()
            if self._removes_cache_dir:
                with suppress(OSError):  # other ranks use it, or it could not be made
                    self._cache_dir.rmdir()
            reason = f"{self.path}: {error.strerror}" if isinstance(error, OSError) else str(error)
            raise _refusal(self._cache_dir, reason) from error
        return self

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.release()
            self._claim = None
        if self._reaper is not None:
            reaper.stop(self._reaper)
            self._reaper = None

    def remove_all_but(self, kept: Collection[str]) -> None:
        """Remove what an earlier run has left in the directory, but these files and directories.

        StorageError on failure.
        """
        assert self._claim is not None, "the directory is claimed"
        try:
            self._claim.remove_contents(kept)
        except OSError as error:
            raise StorageError("removing", str(self.path), str(error)) from error

    def leave_to_reaper(self) -> None:
        """After an interrupt, release the directory, and have the reaper remove what is left in it.

        Where the files stay, do nothing.
        """
        if self.leaves:
            return
        left = f"files are left in {self.path}"
        try:
            (self.path / MANIFEST).unlink(missing_ok=True)
        except OSError as error:  # the helper takes the files for those of a later run
            left += f", as {MANIFEST} cannot be removed: {error.strerror}"
            is_removed = False
        else:
            is_removed = True
        assert self._claim is not None
        assert self._reaper is not None
        self._claim.release()
        self._claim = None
        remover, self._reaper = self._reaper, None
        if is_removed and remover.poll() is None:
            left = f"a helper process removes the files left in {self.path}"
        reaper.let_go(remover)
        say(f"mlpstorage: interrupted: {left}")

    def __exit__(self, *_exception: object) -> None:
        if self._claim is None:
            return  # it was left to the reaper
        if self.leaves:
            self._release()
            return
        try:
            self._claim.remove()
        except KeyboardInterrupt:
            self.leave_to_reaper()
            raise
        except OSError as error:
            raise StorageError("removing", str(self.path), str(error)) from error
        finally:
            self._release()
        if self._removes_cache_dir:
            self._remove_cache_dir()

    def _remove_cache_dir(self) -> None:
        try:
            self._cache_dir.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                raise StorageError("removing", str(self._cache_dir), str(error)) from error
