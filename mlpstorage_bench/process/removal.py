"""Removal of a rank's cache files, by the rank itself or by a program that outlives it.

Only files and directories with given names are removed. The directory's claim, a locked file, goes
last: until then no other run uses the directory. The program waits at a pipe for the rank's end
(`reaper.py` has the rules), with the standard library alone.
"""

import ctypes
import errno
import fcntl
import os
import re
import signal
import sys
import time
from contextlib import suppress

_STOP = b"d"
_PR_SET_PDEATHSIG = 1
_POLL_S = 0.05
_RELEASE_S = 5.0
"""Time for a filesystem to remove a file that was open when it was unlinked, and for the kernel to
release the locks of a killed process, in seconds."""
CLAIM = ".claim"
"""Name of the file that a run locks in each directory that it uses."""
MANIFEST = "checkpoints.json"
"""Name of the list of files that a run leaves for a later one: what it lists is not removed."""
UNLINKED_WHILE_OPEN = re.compile(r"\.(nfs|fuse_hidden|smb|__afs)[0-9A-Fa-f]{4,}")
"""Names that NFS, FUSE, SMB and AFS give to a file that is unlinked while it is open."""
_NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)
"""Errors of rmdir for a directory with entries: POSIX allows both."""
NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP})
"""Errors of flock on a filesystem without locks."""


def remove_named(directory: str, names: str) -> None:
    """Remove a directory and its entries whose names match; OSError on failure.

    `names` is a regular expression for the whole name of a file or directory. Links are not
    followed. Entries with other names stay with their contents, and so do their parent directories.
    """
    _remove_named(directory, re.compile(names), parent=None)


def _remove_named(directory: str, names: "re.Pattern[str]", parent: int | None) -> None:
    try:
        descriptor = os.open(directory, os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except FileNotFoundError:
        return  # another process removed it
    try:
        remove_entries(descriptor, names)
        _remove_directory(directory, descriptor, parent)
    finally:
        os.close(descriptor)


def remove_entries(directory: int, names: "re.Pattern[str]") -> None:
    """Remove the entries of an open directory whose names match, but not its claim.

    The list of files that stay goes first: it never lists files that are gone.
    """
    with os.scandir(directory) as found:
        own = [entry for entry in found if names.fullmatch(entry.name) and entry.name != CLAIM]
    for entry in sorted(own, key=lambda entry: entry.name != MANIFEST):
        if entry.is_dir(follow_symlinks=False):
            _remove_named(entry.name, names, directory)
        else:
            with suppress(FileNotFoundError):
                os.unlink(entry.name, dir_fd=directory)


def remove_claimed(path: str, directory: int, claim: int) -> list[str]:
    """Remove an open directory that has only its claim left; return the names of other entries.

    The claim is closed before its directory is removed: some filesystems keep an open file.
    """
    try:
        with suppress(FileNotFoundError):
            os.unlink(CLAIM, dir_fd=directory)
    finally:
        os.close(claim)
    return _remove_directory(path, directory)


def _remove_directory(path: str, directory: int, parent: int | None = None) -> list[str]:
    """Remove an empty directory that is open; return the entries of one that stays.

    Some filesystems keep a file that was open when it was unlinked under another name until its
    last user has closed it: that is waited for.
    """
    deadline = time.monotonic() + _RELEASE_S
    while True:
        try:
            os.rmdir(path, dir_fd=parent)
        except FileNotFoundError:
            return []
        except OSError as error:
            if error.errno not in _NOT_EMPTY:
                raise
        else:
            return []
        left = os.listdir(directory)
        is_kept = all(map(UNLINKED_WHILE_OPEN.fullmatch, left))
        if not is_kept or time.monotonic() >= deadline:
            return [name for name in left if name != CLAIM]  # another run may have claimed it
        time.sleep(_POLL_S)


def remove_left(path: str, names: str) -> None:
    """Remove the directory that a rank has left, unless another run uses it already.

    One with a list of files for a later run stays. The claim's lock is shared meanwhile: a run that
    wants the directory can tell that from use.
    """
    directory = os.open(path, os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            claim = os.open(CLAIM, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
        except FileNotFoundError:  # the rank had removed all but the directory
            _remove_directory(path, directory)
            return
        if not _can_be_shared(claim) or _has_list(directory):
            os.close(claim)
            return
        remove_entries(directory, re.compile(names))
        remove_claimed(path, directory, claim)
    finally:
        os.close(directory)


def _has_list(directory: int) -> bool:
    try:
        os.stat(MANIFEST, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _can_be_shared(claim: int) -> bool:
    """Lock a claim together with others; False if a run holds it.

    The kernel may close the pipe of a killed process before it releases its locks.
    """
    deadline = time.monotonic() + _RELEASE_S
    while True:
        try:
            fcntl.flock(claim, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            return True
        else:
            return True
        time.sleep(_POLL_S)


def main() -> None:
    """Wait for the owner's end, and remove its directory unless stopped."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)
    if os.read(0, 1) == _STOP:
        return
    with suppress(OSError):  # there is no process left that could report it
        remove_left(*sys.argv[1:])


if __name__ == "__main__":
    main()
