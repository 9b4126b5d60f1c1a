"""Search for metadata files below a results directory, and detection of changes."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mlpstorage_bench.results.tree import METADATA_SUFFIX

_RUN_DIRECTORY = re.compile(r"\d{8}_\d{6}")
"""Name of a run's directory. If it has metadata, only files of its ranks are below it."""
_SETTLED_NS = 2_000_000_000
"""Age below which a file may change again without a new modification time."""
NOT_SETTLED = -1


class FileState(NamedTuple):
    """Metadata file, with the state that shows whether it has changed."""

    path: str
    """Below the results directory."""
    size_bytes: int
    modified_ns: int
    """Modification time of the file; NOT_SETTLED if the file is too young for a decision."""
    folder_modified_ns: int
    """Modification time of a run's directory; NOT_SETTLED if too young, or not of a run."""

    @property
    def is_settled(self) -> bool:
        """Whether an equal state means that the file is the same."""
        return self.modified_ns != NOT_SETTLED


Known = Mapping[str, Sequence[FileState]]
"""Files of the previous search, by their directory below the results directory."""


class MetadataFiles:
    """Metadata files below a directory.

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
        self._visit("")

    def _visit(self, folder: str) -> None:
        path = os.path.join(self._root, folder)  # noqa: PTH118 - ten thousand of them
        try:
            modified_ns = os.stat(path).st_mtime_ns  # noqa: PTH116 - as above
            known = self._known.get(folder, ())
            if known and known[0].folder_modified_ns == modified_ns:
                for state in known:
                    self._look(state.path, modified_ns)
                return
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self._note(error)
            return
        files = [entry for entry in entries if _is_metadata(entry)]
        is_run = bool(files) and _RUN_DIRECTORY.fullmatch(folder.rpartition("/")[2]) is not None
        for entry in files:
            self._look(_below(folder, entry.name), modified_ns if is_run else None)
        if is_run:
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                self._visit(_below(folder, entry.name))

    def _look(self, path: str, folder_modified_ns: int | None) -> None:
        try:
            seen = os.stat(f"{self._root}/{path}")  # noqa: PTH116 - ten thousand of them
        except OSError as error:
            self._note(error)
            return
        folder_ns = NOT_SETTLED if folder_modified_ns is None else self._settled(folder_modified_ns)
        modified_ns = self._settled(seen.st_mtime_ns)
        self.found.append(FileState(path, seen.st_size, modified_ns, folder_ns))

    def _settled(self, modified_ns: int) -> int:
        return modified_ns if modified_ns < self._now_ns - _SETTLED_NS else NOT_SETTLED

    def _note(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            self.problems.append(f"{error.filename}: {error.strerror}")


def state_of(results_dir: Path, metadata: Path) -> FileState:
    """Return the state of one file, which was just written."""
    seen = metadata.stat()
    path = metadata.relative_to(results_dir).as_posix()
    return FileState(path, seen.st_size, NOT_SETTLED, NOT_SETTLED)


def _is_metadata(entry: os.DirEntry[str]) -> bool:
    is_named_so = entry.name.endswith(METADATA_SUFFIX) and not entry.name.startswith(".")
    return is_named_so and entry.is_file()


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
