"""Search for metadata files below a results directory, and detection of changes.

A run of the reference has its figures in a summary beside its metadata: the state of a file is that
of both. A run's directory in a results tree that has a summary alone is listed by that.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mlpstorage_bench.leaves.leaf import is_summary, summary_names
from mlpstorage_bench.leaves.place import TIMESTAMP, place_of
from mlpstorage_bench.paths import TEMPORARY
from mlpstorage_bench.results.tree import METADATA_SUFFIX

OWN_DIRECTORY = ".mlps"
"""Name of a directory that has no runs but those that were removed."""
_SETTLED_NS = 2_000_000_000
"""Age below which a file may change again without a new modification time."""
NOT_SETTLED = -1


class FileState(NamedTuple):
    """Metadata file, with the state that shows whether it or the summary beside it has changed."""

    path: str
    """Below the results directory."""
    size_bytes: int
    """Size of both."""
    modified_ns: int
    """Later modification time of both; NOT_SETTLED if it is too young for a decision."""
    folder_modified_ns: int
    """Modification time of a run's directory; NOT_SETTLED if too young, or not of a run."""

    @property
    def is_settled(self) -> bool:
        """Whether an equal state means that the file is the same."""
        return self.modified_ns != NOT_SETTLED


Known = Mapping[str, Sequence[FileState]]
"""Files of the previous search, by their directory below the results directory."""


class MetadataFiles:
    """Metadata files below a directory, whoever wrote it.

    A run's directory that is known and unchanged is not listed again: only its known files are
    checked.
    """

    def __init__(self, results_dir: Path, known: Known | None = None) -> None:
        self._root = str(results_dir)
        self._known = known or {}
        self._now_ns = time.time_ns()
        self.found: list[FileState] = []
        self.problems: list[str] = []
        """Files and directories that cannot be read, with the reason."""
        folders = [""]
        while folders:
            folders += reversed(self._visit(folders.pop()))

    def _visit(self, folder: str) -> list[str]:
        """Look at the metadata files of a directory, and return the directories to visit below."""
        path = self._path(folder)
        try:
            modified_ns = os.stat(path).st_mtime_ns  # noqa: PTH116 - ten thousand of them
            known = self._known.get(folder, ())
            if known and known[0].folder_modified_ns == modified_ns:
                self._look([state.path for state in known], modified_ns)
                return []
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self._note(folder, error)
            return []
        files = [_below(folder, entry.name) for entry in entries if _is_metadata(entry)]
        is_run_directory = TIMESTAMP.fullmatch(folder.rpartition("/")[2]) is not None
        if not files and is_run_directory and place_of(Path(path)) is not None:
            named = [entry.name for entry in entries if _is_summary(entry)]
            files = [_below(folder, name) for name in named[-1:]]
        is_run = bool(files) and is_run_directory
        self._look(files, modified_ns if is_run else NOT_SETTLED)
        if is_run:
            return []
        below = [
            _below(folder, entry.name)
            for entry in entries
            if entry.name != OWN_DIRECTORY
            and not TEMPORARY.fullmatch(entry.name)
            and _is_directory(entry)
        ]
        return [one for one in below if self._is_usable(one)]

    def _look(self, files: Sequence[str], folder_modified_ns: int) -> None:
        """Add the states of the files of a directory."""
        looked = [(path, self._status(path)) for path in files if self._is_usable(path)]
        seen = [(path, status) for path, status in looked if status is not None]
        # a directory with a file that cannot be read is listed again, so that it is named again
        folder_ns = self._settled(folder_modified_ns) if len(seen) == len(files) else NOT_SETTLED
        beside = self._summary(files[0].rpartition("/")[0]) if seen else None
        self.found += [
            FileState(path, *self._size_and_time(status, beside), folder_ns)
            for path, status in seen
        ]

    def _size_and_time(
        self, status: os.stat_result, beside: os.stat_result | None
    ) -> tuple[int, int]:
        """Return size and modification time of a file and the summary beside it."""
        own_ns = self._settled(status.st_mtime_ns)
        if beside is None:
            return status.st_size, own_ns
        both = (own_ns, self._settled(beside.st_mtime_ns))
        return status.st_size + beside.st_size, NOT_SETTLED if NOT_SETTLED in both else max(both)

    def _summary(self, folder: str) -> os.stat_result | None:
        """Return the status of a directory's summary; None if there is none."""
        for name in summary_names(folder.rpartition("/")[2]):
            try:
                return os.stat(self._path(_below(folder, name)))  # noqa: PTH116 - as above
            except OSError:
                continue
        return None

    def _status(self, path: str) -> os.stat_result | None:
        try:
            return os.stat(self._path(path))  # noqa: PTH116 - ten thousand of them
        except OSError as error:
            self._note(path, error)
            return None

    def _settled(self, modified_ns: int) -> int:
        """Return the time if it tells whether a file has changed, and SQLite can hold it."""
        return modified_ns if 0 <= modified_ns < self._now_ns - _SETTLED_NS else NOT_SETTLED

    def _is_usable(self, below: str) -> bool:
        """Whether a path is text, as the index and people need it: the system allows any bytes."""
        try:
            below.encode()
        except UnicodeEncodeError:
            self.problems.append(f"{self._path(below)}: its name is not UTF-8")
            return False
        return True

    def _path(self, below: str) -> str:
        return f"{self._root}/{below}" if below else self._root

    def _note(self, below: str, error: OSError) -> None:
        """Note a file that is there but cannot be read; one that has just gone is none."""
        path = self._path(below)
        if isinstance(error, FileNotFoundError) and not os.path.islink(path):  # noqa: PTH114 - as above
            return
        self.problems.append(f"{path}: {error.strerror}")


def state_of(results_dir: Path, metadata: Path) -> FileState:
    """Return the state of one file, which was just written."""
    seen = metadata.stat()
    path = metadata.relative_to(results_dir).as_posix()
    return FileState(path, seen.st_size, NOT_SETTLED, NOT_SETTLED)


def _is_metadata(entry: os.DirEntry[str]) -> bool:
    """Whether an entry has the name of a metadata file; reading shows what else it is."""
    is_named_so = entry.name.endswith(METADATA_SUFFIX) and not entry.name.startswith(".")
    return is_named_so and not _is_directory(entry)


def _is_summary(entry: os.DirEntry[str]) -> bool:
    return is_summary(entry.name) and not _is_directory(entry)


def _is_directory(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a directory, and no link to one."""
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # it has just gone
        return False


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
