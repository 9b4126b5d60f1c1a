"""The results directory tree (MLPerf Storage rules, 2.1), and atomic writes into it.

`<results-dir>/<mode>/<orgname>/results/<systemname>/<type>/<model>/<command>/<YYYYMMDD_HHMMSS>/`;
some types have no level for the command.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.errors import InvalidInputError, ResultsError
from mlpstorage_bench.paths import check_path_component, temporary_name
from mlpstorage_bench.redaction.text import redact_json
from mlpstorage_bench.results.json_files import json_text

TIMESTAMP_FORMAT = "%Y%m%d_%H%M%S"
METADATA_SUFFIX = "_metadata.json"
SUMMARY = "summary.json"


@dataclass(frozen=True)
class RunLocation:
    """The path of a run's directory, and the names of its files."""

    results_dir: Path
    mode: str
    orgname: str
    systemname: str
    benchmark_type: str
    model: str
    command: str
    timestamp: str
    """The run's start as YYYYMMDD_HHMMSS."""
    has_command_level: bool = True
    """Whether the path has a level for the command."""
    temporary: Path | None = None
    """Where files are written until the directory appears with the first of them; None later."""

    def __post_init__(self) -> None:
        for name in ("mode", "orgname", "systemname", "benchmark_type", "model", "command"):
            check_path_component(name, getattr(self, name))
        check_path_component("timestamp", self.timestamp)

    @property
    def directory(self) -> Path:
        """The run's directory."""
        of_model = (
            self.results_dir
            / self.mode
            / self.orgname
            / "results"
            / self.systemname
            / self.benchmark_type
            / self.model
        )
        return (of_model / self.command if self.has_command_level else of_model) / self.timestamp

    @property
    def written_in(self) -> Path:
        """The directory in which the run's files are now."""
        return self.directory if self.temporary is None else self.temporary

    @property
    def metadata_path(self) -> Path:
        """The run's metadata; the reference reads the first such file of a directory."""
        return self.written_in / f"{self.benchmark_type}_{self.timestamp}{METADATA_SUFFIX}"

    @property
    def summary_path(self) -> Path:
        """The run's summary, under the name that the reference's readers look for."""
        return self.written_in / SUMMARY

    @property
    def cluster_info_path(self) -> Path:
        """The hosts at the run's start, once more."""
        return self.written_in / f"{self.benchmark_type}_cluster_info.json"

    @property
    def benchmark_json_path(self) -> Path:
        """pytest-benchmark's JSON of the run, from which the other files can be made."""
        return self.written_in / f"pytest_benchmark_{self.timestamp}.json"


def write_json(path: Path, content: Mapping[str, object]) -> Path:
    """Write JSON without secrets, atomically: readers see the old file or the new one."""
    return write_text(path, json_text(redact_json(content)))


def write_text(path: Path, text: str) -> Path:
    """Write a text file atomically: readers see the old file or the new one."""
    try:
        return replace_text(path, text)
    except OSError as error:
        raise ResultsError(str(path), error.strerror or str(error)) from error


def remove_files(paths: Iterable[Path]) -> None:
    """Remove files, where they are there; ResultsError on failure."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ResultsError(str(path), error.strerror or str(error)) from error


def write_named(option: str, path: Path, text: str) -> Path:
    """Write a text file that an option names, atomically; InvalidInputError on failure."""
    try:
        return replace_text(path, text)
    except OSError as error:
        raise InvalidInputError(
            option, str(path), "a file that can be written", hint=error.strerror or str(error)
        ) from error


def replace_text(path: Path, text: str) -> Path:
    """Write a text file atomically and durably; OSError on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(temporary_name())
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    # the system applies the umask or the directory's default: some filesystems have no other mode
    try:
        with os.fdopen(os.open(temporary, flags, 0o666), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            _sync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def _sync(descriptor: int) -> None:
    """Sync a file; some filesystems, of FUSE for example, cannot sync one."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
