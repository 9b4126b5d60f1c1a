"""The claim on a directory: it is this user's own, and no other run uses it until it is released.

Where others may write, a directory may be replaced by another one, or hold links: all is opened
without following links and relative to the open directory, and files of other users are refused.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import re
import secrets
import stat
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from mlpstorage_bench.process.removal import (
    CLAIM,
    NO_LOCKS,
    UNLINKED_WHILE_OPEN,
    remove_claimed,
    remove_entries,
)
from mlpstorage_bench.process.stderr import say
from mlpstorage_bench.storage.files import DATA_SUFFIX
from mlpstorage_bench.storage.own_files import OWN, OWN_NAMES, is_own

_OPEN = os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_LINK_ERRORS = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EMLINK})
"""Errors of opening a link with O_NOFOLLOW, or as a directory."""
_NO_FILE_ERRORS = frozenset({errno.EISDIR, errno.ENXIO, errno.ENODEV})
"""Errors of opening a directory for writing, and a socket or another device at all."""
_ATTEMPTS = 1000
"""Attempts to claim a directory that others create and remove at the same time."""
_REMOVAL_S = 60.0
"""Time for a helper process to remove the files of a run that was killed, in seconds."""
_POLL_S = 0.05


class RefusedDirectoryError(Exception):
    """The directory cannot be claimed, with the reason."""


class Claim:
    """A directory that is open, and a file in it that is locked."""

    def __init__(self, path: Path) -> None:
        """Create the directory where it is missing, and claim it.

        Raises RefusedDirectoryError, or OSError.
        """
        self.path = path
        self.can_be_locked = True
        """Whether the filesystem has locks; without, a second run in it is not detected."""
        self._directory = self._file = -1
        self._is_new = False
        """Whether this process made the directory."""
        for _ in range(_ATTEMPTS):
            try:
                self._open_directory()
                self._open_file()
                if self._lock():
                    os.register_at_fork(after_in_child=self.release)  # a child would keep them open
                    return
            except FileNotFoundError:
                pass  # its owner removed the directory just now
            except BaseException:
                self.release()
                if self._is_new:
                    with suppress(OSError):  # it is not empty: another run has claimed it
                        self.path.rmdir()
                raise
            self.release()
        raise RefusedDirectoryError(f"{path} is created and removed by others all the time")

    def _open_directory(self) -> None:
        with suppress(FileExistsError):
            self.path.mkdir(0o700)
            self._is_new = True
        try:
            self._directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | _OPEN)
        except OSError as error:
            if error.errno in _LINK_ERRORS:
                kind = "a symbolic link" if self.path.is_symlink() else "no directory"
                raise RefusedDirectoryError(f"{self.path} is {kind}") from error
            if isinstance(error, PermissionError):
                raise RefusedDirectoryError(_owned(self.path, self.path.lstat())) from error
            raise
        status = os.fstat(self._directory)
        if status.st_uid != os.geteuid() and status.st_uid != self._user_of_new_file():
            raise RefusedDirectoryError(_owned(self.path, status))
        if status.st_mode & _OTHERS_WRITE:
            with suppress(OSError):  # some filesystems have one mode for all files
                os.fchmod(self._directory, stat.S_IMODE(status.st_mode) & ~_OTHERS_WRITE)
        foreign = [path for path in self.path.iterdir() if not is_own(path)]
        if foreign:
            raise RefusedDirectoryError(
                f"{foreign[0]} is not a cache file, and {self.path} is removed at the end"
            )

    def _user_of_new_file(self) -> int | None:
        """Return the owner that files of this process have here; None if it can create none.

        It may not be this process's user: NFS's root_squash, CIFS and vfat have other owners.
        """
        name = f".{secrets.token_hex(8)}-probe{DATA_SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN
        try:
            probe = os.open(name, flags, 0o600, dir_fd=self._directory)
        except PermissionError:
            return None
        try:
            return os.fstat(probe).st_uid
        finally:
            os.close(probe)
            os.unlink(name, dir_fd=self._directory)

    def _open_file(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | _OPEN
        try:
            self._file = os.open(CLAIM, flags, 0o600, dir_fd=self._directory)
        except OSError as error:
            if error.errno in _LINK_ERRORS:
                raise RefusedDirectoryError(f"{self.path / CLAIM} is a symbolic link") from error
            if error.errno in _NO_FILE_ERRORS:
                raise RefusedDirectoryError(f"{self.path / CLAIM} is no regular file") from error
            raise
        status, directory = os.fstat(self._file), os.fstat(self._directory)
        if not stat.S_ISREG(status.st_mode):
            raise RefusedDirectoryError(f"{self.path / CLAIM} is no regular file")
        if status.st_uid != directory.st_uid:
            raise RefusedDirectoryError(_owned(self.path / CLAIM, status))

    def _lock(self) -> bool:
        """Lock the file; False if file or directory were removed or replaced meanwhile."""
        try:
            self._lock_after_removal()
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            self.can_be_locked = False
        now = os.stat(CLAIM, dir_fd=self._directory, follow_symlinks=False)
        return os.path.samestat(now, os.fstat(self._file)) and os.path.samestat(
            self.path.lstat(), os.fstat(self._directory)
        )

    def _lock_after_removal(self) -> None:
        """Lock the file, after a helper process that shares its lock has removed old files."""
        deadline = time.monotonic() + _REMOVAL_S
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                return
            try:
                fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RefusedDirectoryError(
                    f"{self.path} is in use by a running benchmark: wait for it, or name another"
                ) from None
            fcntl.flock(self._file, fcntl.LOCK_UN)
            if time.monotonic() >= deadline:
                raise RefusedDirectoryError(
                    f"files of a killed run are being removed in {self.path}"
                )
            time.sleep(_POLL_S)

    def remove_contents(self, kept: Collection[str] = ()) -> None:
        """Remove the files and directories that stores name, but `kept`; OSError on failure."""
        names = re.compile(rf"(?!(?:{'|'.join(map(re.escape, kept))})$)(?:{OWN_NAMES})")
        remove_entries(self._directory, names if kept else OWN)
        with os.scandir(self._directory) as found:
            unlinked = [entry.name for entry in found if UNLINKED_WHILE_OPEN.fullmatch(entry.name)]
        for name in unlinked:
            with suppress(OSError):  # another process has it open, and it goes with that
                os.unlink(name, dir_fd=self._directory)

    def remove(self) -> None:
        """Remove the directory and its contents, and release the claim; OSError on failure."""
        try:
            self.remove_contents()
            file, self._file = self._file, -1
            left = remove_claimed(str(self.path), self._directory, file)
        finally:
            self.release()
        if left:
            say(f"mlpstorage: {self.path} is left, because of what else is in it: {left[0]}")

    def release(self) -> None:
        """Release the claim and leave the directory; does nothing the second time."""
        for descriptor in (self._file, self._directory):
            if descriptor >= 0:
                os.close(descriptor)
        self._directory = self._file = -1


def others_can_replace(directory: Path) -> bool:
    """Return whether other users can replace the files of this one in a directory."""
    status = directory.stat()
    if status.st_uid not in (0, os.geteuid()):
        return True
    # A group of one's own is made for each user in many installations.
    by_group = stat.S_IWGRP if status.st_gid != os.getegid() else 0
    is_open = bool(status.st_mode & (stat.S_IWOTH | by_group))
    return is_open and not status.st_mode & stat.S_ISVTX


def _owned(path: Path, status: os.stat_result) -> str:
    try:
        owner = f"user {pwd.getpwuid(status.st_uid).pw_name}"
    except KeyError:
        owner = f"user {status.st_uid}"
    return f"{path} belongs to {owner}, and this process is not that user"
