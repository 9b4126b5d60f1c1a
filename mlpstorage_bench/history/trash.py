"""Removal of runs: their directories are moved to `.mlps/trash/<time>/` of the results directory.

Every directory is opened by its name in its parent, so that no link is followed, and is moved by a
rename within one filesystem. To move a directory back undoes its removal.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from mlpstorage_bench.errors import MlpsError
from mlpstorage_bench.history.ledger import open_ledger
from mlpstorage_bench.history.metadata_files import OWN_DIRECTORY
from mlpstorage_bench.leaves.place import TIMESTAMP
from mlpstorage_bench.results.tree import METADATA_SUFFIX, TIMESTAMP_FORMAT

_TRASH = "trash"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MAY_CHANGE = os.W_OK | os.X_OK
_MOST_ATTEMPTS = 3600


class NotRemovableError(Exception):
    """The directory of a run may not be moved, or cannot be; the text is the reason, a sentence."""


class TrashError(MlpsError):
    """Directories could not be moved; the text says which were."""


@dataclass(frozen=True)
class Leaf:
    """The directory of one run, as it was found."""

    place: str
    """Path below the results directory."""
    identity: tuple[int, int]
    """Device and inode."""


def leaf_of(results_dir: Path, metadata: Path, seen: os.stat_result) -> Leaf:
    """Return the directory of a run's metadata; NotRemovableError if it cannot be moved.

    `seen` is the status of the metadata when it was read. The directory is named by a time, belongs
    to this run alone, is reached without links, and is on the results directory's filesystem.
    """
    folder = metadata.parent.relative_to(results_dir)
    if TIMESTAMP.fullmatch(folder.name) is None:
        raise NotRemovableError(
            f"It has no directory of its own, named YYYYMMDD_HHMMSS: it is {metadata}"
        )
    try:
        with (
            _opened_root(results_dir) as root,
            _opened(root, folder.parent.parts) as parent,
            _opened(parent, (folder.name,)) as leaf,
        ):
            _check_metadata(leaf, metadata.name, seen)
            status = os.fstat(leaf)
            if status.st_dev != os.fstat(root).st_dev:
                raise NotRemovableError(f"{folder} is on another filesystem than {results_dir}")
            for directory in (root, parent, leaf):
                if not os.access(".", _MAY_CHANGE, dir_fd=directory, effective_ids=True):
                    raise NotRemovableError(f"{folder} or a directory above it cannot be written")
    except OSError as error:
        raise NotRemovableError(f"{folder}: {_reason(error)}") from error
    return Leaf(folder.as_posix(), (status.st_dev, status.st_ino))


def move_to_trash(results_dir: Path, leaves: Sequence[Leaf], now: datetime) -> str:
    """Move directories of runs to a new directory of the trash, and return its place.

    TrashError if that is not possible; directories that were moved before it stay there.
    """
    moved: dict[str, str] = {}
    try:
        with (
            _opened_root(results_dir) as root,
            _opened(root, (OWN_DIRECTORY,), make=True) as own,
            open_ledger(own) as ledger,
            _opened(own, (_TRASH,), make=True) as trash,
        ):
            name = _new_directory(trash, now)
            place = f"{OWN_DIRECTORY}/{_TRASH}/{name}"
            try:
                with _opened(trash, (name,)) as target:
                    for leaf in leaves:
                        _move(root, target, leaf)
                        moved[leaf.place] = f"{place}/{leaf.place}"
            finally:
                if ledger is not None:
                    ledger.note_trashed(moved, now)
    except (OSError, NotRemovableError) as error:
        reason = _reason(error) if isinstance(error, OSError) else str(error)
        done = f"Moved before that: {', '.join(moved)}" if moved else "Nothing was moved"
        raise TrashError(f"runs of {results_dir} cannot be moved: {reason}. {done}") from error
    return place


def _move(root: int, target: int, leaf: Leaf) -> None:
    *above, name = leaf.place.split("/")
    with _opened(root, above) as parent, _opened(target, above, make=True) as new_parent:
        now = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if (now.st_dev, now.st_ino) != leaf.identity:
            raise NotRemovableError(f"{leaf.place} was replaced meanwhile")
        os.rename(name, name, src_dir_fd=parent, dst_dir_fd=new_parent)


def _check_metadata(leaf: int, name: str, seen: os.stat_result) -> None:
    """Check that a directory has one metadata file, which is the one that was read."""
    names = [one for one in os.listdir(leaf) if not one.startswith(".")]
    files = sorted(one for one in names if one.endswith(METADATA_SUFFIX))
    if not files:
        raise NotRemovableError("Its directory has no metadata that says which run it is")
    if files != [name]:
        raise NotRemovableError(f"Its directory has other metadata too: {', '.join(files)}")
    now = os.stat(name, dir_fd=leaf, follow_symlinks=False)
    if not stat.S_ISREG(now.st_mode):
        raise NotRemovableError("Its metadata is a link")
    read, found = ((one.st_dev, one.st_ino, one.st_ctime_ns) for one in (seen, now))
    if read != found:
        raise NotRemovableError("Its metadata has just changed")


def _new_directory(trash: int, now: datetime) -> str:
    """Make a directory named by this second, or by the next one that has none."""
    for later_s in range(_MOST_ATTEMPTS):
        name = (now + timedelta(seconds=later_s)).strftime(TIMESTAMP_FORMAT)
        try:
            os.mkdir(name, dir_fd=trash)
        except FileExistsError:
            continue
        return name
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)


@contextmanager
def _opened_root(results_dir: Path) -> Iterator[int]:
    """Open the results directory, to which the user's path may lead through links."""
    descriptor = os.open(results_dir, _DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _opened(parent: int, names: Sequence[str], *, make: bool = False) -> Iterator[int]:
    """Open the directory below another one, no part of which is a link; make missing ones."""
    with ExitStack() as opened:
        folder = os.dup(parent)
        opened.callback(os.close, folder)
        for name in names:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=folder)
            folder = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            opened.callback(os.close, folder)
        yield folder


def _reason(error: OSError) -> str:
    """Return the system's message, or what it means for a name that is no directory."""
    name = f"{error.filename}: " if isinstance(error.filename, str) else ""
    if error.errno in (errno.ENOTDIR, errno.ELOOP):
        return f"{name}it is a link, and no directory"
    return f"{name}{error.strerror}"
