"""Generation of a dataset: each rank makes its share of the files, and skips those that exist.

A file is written under another name, made durable, and renamed when its digests are written. So a
generation that was interrupted goes on where it ended, with any number of ranks.
"""

from __future__ import annotations

import os
import threading
import time
from array import array
from collections import deque
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from mlpstorage_bench.errors import CapacityError, StorageError
from mlpstorage_bench.measure.operation_statistics import STORAGE_TIER
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.storage.failures import storage_error
from mlpstorage_bench.storage.files import FileIo, remove
from mlpstorage_bench.storage.lane import Lane
from mlpstorage_bench.storage.lane_waits import off_thread
from mlpstorage_bench.storage.queue_calls import off_lane
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.dataset.digests import write_digests
from mlpstorage_bench.training.dataset.place import PARTIAL, DatasetPlace
from mlpstorage_bench.training.dataset.raw_files import (
    OpenRawFile,
    PieceMover,
    entry_name,
    payload_of,
)
from mlpstorage_bench.training.dataset.sizes import UNKNOWN, read_sizes, write_size
from mlpstorage_bench.training.formats.chosen import format_of
from mlpstorage_bench.training.formats.library_format import LibraryFormat
from mlpstorage_bench.training.results.generated import Generated
from mlpstorage_bench.training.runner.context import TrainingContext
from mlpstorage_bench.training.workload.minimum import MORE_SPACE
from mlpstorage_bench.trial.lanes import LaneShape, open_lanes
from mlpstorage_bench.trial.supervisor import TrialSupervisor
from mlpstorage_bench.trial.watch import Watch
from mlpstorage_bench.units import GIB

_LANES = 8
_CHUNKS_IN_FLIGHT = 4
_MOST_LOOKED_AT = 64
"""Files of other ranks that a rank looks for."""


def generate(
    workload: TrainingWorkload,
    context: TrainingContext,
    ranks: TrialRanks,
    watch: Watch,
    free_bytes: int | None,
    *,
    looks_for_all: bool = False,
) -> Generated:
    """Make the files that do not exist, on all ranks together; return what was made by all.

    A dataset whose manifest says that it is complete is looked through with `looks_for_all` alone.
    CapacityError if they do not fit into this rank's share of the free space.
    """
    place = context.place
    is_complete = ranks.bcast(ranks.rank == 0 and place.is_complete())
    if is_complete and not looks_for_all:
        return Generated()
    if is_complete and ranks.rank == 0:
        context.read_digests()  # what was changed must not get a new checksum
    is_new = ranks.bcast(ranks.rank == 0 and not place.is_begun())
    if is_new:
        check_total(place, ranks.size, free_bytes)
    place.make()
    if ranks.rank == 0:
        place.describe(is_complete=False)
    ranks.barrier()
    watch.begin("datagen", None)
    missing = _missing(context, range(ranks.rank, place.contents.files, ranks.size))
    check_space(place, missing, free_bytes)
    with ranks.defer_interrupts():
        mine = _Generation(workload, context, missing).run(ranks, watch)
    ranks.barrier()
    look_for_files_of_others(place, ranks.size)
    if ranks.rank == 0:
        _make_durable(place.digests)
        if place.sizes.exists():
            _make_durable(place.sizes)
        place.describe(is_complete=True)
    return ranks.bcast(ranks.merge(mine, Generated.merge)) or mine


def _missing(context: TrainingContext, own: range) -> list[int]:
    """Return the files of a rank that are not there in their size, or have no digests."""
    place = context.place
    places = context.places
    sizes = read_sizes(place.sizes)
    known = np.zeros(0, np.uint64)
    if place.digests.exists():
        known = np.fromfile(place.digests, dtype="<u8")
    return [
        file
        for file in own
        if not place.has_file(file, int(sizes[file]) if file < len(sizes) else UNKNOWN)
        or len(known) < places.first(file + 1)
        or not known[places.first(file) : places.first(file + 1)].all()
    ]


def check_total(place: DatasetPlace, ranks: int, free_bytes: int | None) -> None:
    """Raise CapacityError if a dataset of which nothing exists does not fit.

    Millions of files need not be looked for then.
    """
    needed = place.dataset.total_bytes
    if free_bytes is not None and needed > free_bytes * ranks:
        raise _too_large(place, needed / ranks, free_bytes)


def check_space(place: DatasetPlace, missing: list[int], free_bytes: int | None) -> None:
    """Raise CapacityError if files do not fit into this rank's share of the free space."""
    needed = sum(place.dataset.file_bytes(file) for file in missing)
    if free_bytes is not None and needed > free_bytes:
        raise _too_large(place, needed, free_bytes)


def _too_large(place: DatasetPlace, needed: float, free_bytes: int) -> CapacityError:
    return CapacityError(
        f"the files that this rank makes in {place.directory} take {needed / GIB:.1f} GiB, and "
        f"its share of the free space is {free_bytes / GIB:.1f} GiB: {MORE_SPACE}"
    )


def look_for_files_of_others(place: DatasetPlace, ranks: int) -> None:
    """Raise StorageError if files that other ranks made are not visible here."""
    for file in range(min(ranks, place.contents.files, _MOST_LOOKED_AT)):
        if not place.has_file(file):
            raise StorageError(
                "looking for",
                str(place.path(file)),
                "another rank made it, and it is not visible on this host",
                hint="All hosts need the same files: name a directory of a filesystem that they "
                "share",
            )


def _make_durable(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise storage_error("making durable", path, error) from error


class _Generation:
    """One rank's part of a generation."""

    def __init__(
        self, workload: TrainingWorkload, context: TrainingContext, missing: list[int]
    ) -> None:
        self._workload = workload
        self._context = context
        self._place = context.place
        self._io = context.writes
        self._places = context.places
        self._format = format_of(self._place)
        self._missing = deque(missing)
        self._stopping = threading.Event()
        self._recorder = Recorder(Window())
        self._made = 0
        self._written_bytes = 0

    def run(self, ranks: TrialRanks, watch: Watch) -> Generated:
        if not self._missing:
            return Generated()
        began_at, started_s = time.time(), time.monotonic()
        lanes = min(_LANES, len(self._missing))
        shape = LaneShape(
            lanes,
            self._context.chunking,
            _CHUNKS_IN_FLIGHT,
            min(self._workload.io_threads, lanes),
        )
        with ExitStack() as resources:
            threads, of_rank = open_lanes(
                resources,
                shape,
                payload_of(self._place),
                self._stopping,
                self._context.queue_opener(self._workload),
            )
            supervisor = TrialSupervisor(threads, self._stopping, ranks, on_poll=watch.tick)
            resources.callback(supervisor.join)
            futures = supervisor.start([partial(self._make_files, lane) for lane in of_rank])

            def ended() -> str | None:
                return "all files" if all(future.done() for future in futures) else None

            supervisor.wait_or_raise(futures, ended)
        seconds = time.monotonic() - started_s
        return Generated(self._made, self._written_bytes, began_at, seconds)

    def _make_files(self, lane: Lane) -> None:
        """Make files until there is none left; runs on a lane."""
        while self._missing and not self._stopping.is_set():
            self._make(self._missing.popleft(), lane)

    def _make(self, file: int, lane: Lane) -> None:
        final = self._place.path(file)
        partial_path = final.with_name(final.name + PARTIAL)
        off_thread(remove, partial_path)
        try:
            if self._format is None:
                digests = self._write_raw(file, partial_path, lane)
            else:
                digests = off_thread(_write_by_library, self._format, partial_path, file)
            size = off_thread(_size_of, partial_path)
            off_thread(write_digests, self._place.digests, self._places.first(file), digests)
            if self._format is not None:
                off_thread(write_size, self._place.sizes, file, size)
            off_thread(_rename, partial_path, final)
        except BaseException:
            off_thread(remove, partial_path)
            raise
        self._made += 1
        self._written_bytes += size

    def _write_raw(self, file: int, path: Path, lane: Lane) -> array[int]:
        """Write a file piece by piece; return the digests of what is read."""
        size = self._place.dataset.file_bytes(file)
        opened = OpenRawFile(self._io.create(path, size), self._io)
        try:
            return self._write(file, opened, lane)
        finally:
            opened.close()

    def _write(self, file: int, opened: OpenRawFile, lane: Lane) -> array[int]:
        """Write a file's pieces and make it durable; return the digests of what is read."""
        dataset, digests = self._place.dataset, array("Q")
        size = dataset.file_bytes(file)
        observer = self._recorder.observe(STORAGE_TIER, "write", size)
        for number in range(dataset.groups_per_file):
            for piece, is_read in dataset.pieces(file, number):
                entry = lane.write(opened, entry_name(file, piece), piece.size, observer)
                if is_read:
                    digests.extend(entry.digests)
        mover = PieceMover(opened.file, 0, observer, self._io)
        off_lane(mover.make_durable, opened.file)
        return digests


def _write_by_library(written_by: LibraryFormat, path: Path, file: int) -> array[int]:
    """Have a library write a file, and drop its pages; return the digests of its groups."""
    try:
        digests = array("Q", written_by.write(str(path), file))
    except OSError as error:
        raise storage_error("writing", path, error) from error
    FileIo("buffered").open_uncached(path).close()
    return digests


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise storage_error("looking for", path, error) from error


def _rename(path: Path, to: Path) -> None:
    try:
        path.replace(to)
    except OSError as error:
        raise storage_error("renaming", path, error) from error
