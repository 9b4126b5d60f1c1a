"""The directory of a new run: it appears with its first files, or not at all.

Readers take every directory that is named by a time for a run (rule 2.1.17). So the first files of
a run are written to a temporary directory at the top of the results directory, which is renamed
when they are complete. A process that is killed before that leaves the temporary directory, which
is no run to any reader.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from mlpstorage_bench.errors import InvalidInputError, ResultsError
from mlpstorage_bench.paths import foreign_link_owner, temporary_name
from mlpstorage_bench.results.tree import TIMESTAMP_FORMAT, RunLocation

_CREATION_ATTEMPTS = 20


def begin_run_directory(
    results_dir: Path,
    mode: str,
    orgname: str,
    systemname: str,
    benchmark_type: str,
    model: str,
    command: str,
    *,
    has_command_level: bool = True,
) -> tuple[RunLocation, datetime]:
    """Reserve the directory of a run that starts now, unique also for two runs in one second.

    Its files are written to the location's temporary directory until `finish_run_directory`.
    """
    for _ in range(_CREATION_ATTEMPTS):
        started = datetime.now().astimezone()
        location = RunLocation(
            results_dir,
            mode,
            orgname,
            systemname,
            benchmark_type,
            model,
            command,
            started.strftime(TIMESTAMP_FORMAT),
            has_command_level,
        )
        try:
            _check_links(results_dir, location.directory)
            reserved = _reserved(location)
        except OSError as error:
            raise _unusable(results_dir, f"{error.filename}: {error.strerror}") from error
        if reserved is not None:
            return reserved, started
        time.sleep(1.0 - datetime.now().astimezone().microsecond / 1e6)
    raise _unusable(results_dir, f"{location.directory} and its successors exist already")


def finish_run_directory(location: RunLocation) -> RunLocation:
    """Give a run's files their place, and return it; ResultsError on failure."""
    made = replace(location, temporary=None)
    if location.temporary is not None:
        try:
            _move(location.temporary, made.directory)
        except OSError as error:
            raise ResultsError(str(made.directory), error.strerror or str(error)) from error
    return made


@contextmanager
def discarded_on_failure(location: RunLocation) -> Iterator[None]:
    """Remove the temporary directory if the run fails before its directory appears."""
    try:
        yield
    except BaseException:
        _discard(location)
        raise


@contextmanager
def whole_run_directory(location: RunLocation) -> Iterator[RunLocation]:
    """Yield where to write all files of a run that has ended: they appear together.

    If the run's directory exists, its files are replaced one by one.
    """
    try:
        is_new = not location.directory.exists()
        written = _beside(location, temporary_name()) if is_new else location
    except OSError as error:
        raise ResultsError(str(location.directory), error.strerror or str(error)) from error
    with discarded_on_failure(written):
        yield written
        finish_run_directory(written)


def _reserved(location: RunLocation) -> RunLocation | None:
    """Return the location with a temporary directory; None if another run has its time.

    The name of the temporary directory follows from the run's place: one run alone can make it.
    """
    place = location.directory.relative_to(location.results_dir).as_posix()
    try:
        written = _beside(location, temporary_name(place))
    except FileExistsError as error:
        if location.directory.parent.is_dir():
            return None
        raise _unusable(location.results_dir, f"{error.filename} is no directory") from None
    if not location.directory.exists():
        return written
    _discard(written)
    return None


def _beside(location: RunLocation, name: str) -> RunLocation:
    """Return the location with a new temporary directory of this name on the same filesystem.

    It is as near to the top of the results directory as this user may write: readers count the
    directories beside those of runs, whatever their names.
    """
    parent = location.directory.parent
    parent.mkdir(parents=True, exist_ok=True)
    device = parent.stat().st_dev
    above = [
        path
        for path in (parent, *parent.parents)
        if path.is_relative_to(location.results_dir) and path.stat().st_dev == device
    ]
    while True:
        temporary = above.pop() / name
        try:
            temporary.mkdir()
        except PermissionError:
            if not above:
                raise
        else:
            return replace(location, temporary=temporary)


def _move(source: Path, target: Path) -> None:
    """Rename a directory; copy it where the kernel refuses, as between two mounts.

    A copy that fails leaves nothing: it would be a run to readers.
    """
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        target.mkdir()
        try:
            shutil.copytree(source, target, dirs_exist_ok=True)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        shutil.rmtree(source)


def _discard(location: RunLocation) -> None:
    if location.temporary is not None:
        shutil.rmtree(location.temporary, ignore_errors=True)


def _check_links(results_dir: Path, directory: Path) -> None:
    """Refuse a link of another user as the results directory or on the way to a run's directory."""
    on_the_way = [path for path in directory.parents if path.is_relative_to(results_dir)]
    for path in on_the_way:
        owner = foreign_link_owner(path)
        if owner is not None:
            raise _unusable(results_dir, f"{path} is a link that another user ({owner}) has made")


def _unusable(results_dir: Path, cause: str) -> InvalidInputError:
    accepted, hint = "a directory that can be written", f"{cause}. Choose another"
    return InvalidInputError("--mlps-results-dir", str(results_dir), accepted, hint=hint)
