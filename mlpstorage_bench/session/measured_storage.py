"""The storage under the cache directories of a session, and its change since the last run."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from mlpstorage_bench.benchmark_type.records import CaseRecord
from mlpstorage_bench.cluster.differences import format_values
from mlpstorage_bench.cluster.filesystems import ROOT_MOUNT, SYSTEM_DISK_ADVICE
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.cache_directories import CacheDirectory, replaced
from mlpstorage_bench.history.filters import RunFilter
from mlpstorage_bench.history.past_run import PastRun
from mlpstorage_bench.results.tree import METADATA_SUFFIX
from mlpstorage_bench.trial.figures import io_modes_of


def headline(directories: Sequence[CacheDirectory], cases: Sequence[CaseRecord]) -> str:
    """Return the path and storage of the cache directories, and how cases moved files, in a line.

    How is left out where no trial has moved any.
    """
    path = directories[0].path
    modes = sorted({mode for case in cases for mode in io_modes_of(case)})
    io = [f"{' and '.join(modes)} I/O"] if modes else []
    if len({one.storage for one in directories}) == 1:
        return ", ".join([f"storage: {path}: {directories[0].storage}", *io])
    storages = format_values((one.host, one.storage) for one in directories)
    return "; ".join([f"storage: {path}: {storages}", *io])


def note_on_system_disk(directories: Sequence[CacheDirectory]) -> list[str]:
    """Return a sentence if cache directories are on the filesystem of the operating system."""
    found = [one for one in directories if one.mount_point == ROOT_MOUNT]
    if not found:
        return []
    hosts = f" on {', '.join(one.host for one in found)}" if len(directories) > 1 else ""
    place = f"{found[0].path}{hosts} is on the filesystem of the operating system"
    return [f"{place} ({found[0].storage}). {SYSTEM_DISK_ADVICE}"]


def changes_since_last_run(
    results_dir: Path, own: Path, directories: Sequence[CacheDirectory]
) -> list[str]:
    """Return a sentence for each directory that led to another storage in the last run there.

    `own` is the metadata file of this run. No index is made for a first run.
    """
    try:
        if not any(path != own for path in results_dir.rglob(f"*{METADATA_SUFFIX}")):
            return []
        with History(results_dir) as history:
            last = _last_run(history, own, directories)
    except (sqlite3.Error, OSError) as error:
        return [f"whether the storage is that of the last run is not known: {error}"]
    if last is None:
        return []
    return [
        f"{one.path} on {one.host} is another storage than in run {last.run_id}: now "
        f"{one.storage}; then {old.storage}. Is the storage mounted? The gate does not compare them"
        for one, old in replaced(directories, last.cache_directories)
    ]


def _last_run(history: History, own: Path, directories: Sequence[CacheDirectory]) -> PastRun | None:
    places = {one.place for one in directories}
    runs = history.runs(RunFilter(host=directories[0].host))
    return next(
        (
            run
            for run in reversed(runs)
            if run.path != own.absolute()
            and any(one.place in places for one in run.cache_directories)
        ),
        None,
    )
