"""The surroundings of a rank's trial, and how it moves files."""

from __future__ import annotations

from dataclasses import dataclass

from mlpstorage_bench.measure.device import BlockDevice
from mlpstorage_bench.storage.files import FileIo, IoMode
from mlpstorage_bench.storage.kernel_queue import QueueChoice
from mlpstorage_bench.storage.queues import QueueOpener
from mlpstorage_bench.storage.store import Chunking
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.dataset.digests import DigestPlaces, Digests, read_digests
from mlpstorage_bench.training.dataset.place import DatasetPlace
from mlpstorage_bench.trial.counter_probe import NO_COUNTERS, UsableCounters


@dataclass(frozen=True)
class TrainingContext:
    """Everything about a rank's trial that is not the training's parameters."""

    rank: int
    host: str
    place: DatasetPlace
    io_mode: IoMode
    best_io_mode: IoMode
    """Mode in which files are generated."""
    best_queue: QueueChoice = "auto"
    """Queue of trainings that choose none."""
    uses_workers: bool = False
    """Whether io_uring leaves every transfer to a worker."""
    counters: UsableCounters = NO_COUNTERS
    """The kernel's counters that cover the traffic to the directory's storage."""
    empties_cache: bool = True
    """Whether this rank drops the pages of the dataset before a trial, for its host."""

    @property
    def chunking(self) -> Chunking:
        """Division of pieces into chunks, as in the digests."""
        return Chunking(self.place.contents.chunk_bytes)

    @property
    def places(self) -> DigestPlaces:
        """Places of the digests."""
        is_of_groups = self.place.contents.format != "raw"
        return DigestPlaces(self.place.dataset, self.chunking, is_of_groups)

    def read_digests(self) -> Digests:
        """Return all digests; StorageError if they are not as they were when the data was made."""
        return read_digests(self.place.digests, self.places, self.place.digests_sha256)

    @property
    def reads(self) -> FileIo:
        """Mode of reads: direct, or as any program's through the page cache."""
        return FileIo(self.io_mode, keeps_pages=True)

    @property
    def writes(self) -> FileIo:
        """Mode in which files are generated: no page of them stays in the page cache."""
        mode = self.best_io_mode
        return FileIo(
            mode,
            "fdatasync",
            writes_back_chunks=BlockDevice.under(self.place.cache_dir) is not None,
            reserves=mode == "direct",
        )

    def queue_opener(self, workload: TrainingWorkload) -> QueueOpener:
        """Return what opens the queues of IO threads."""
        is_chosen = workload.io_queue != "auto"
        return QueueOpener(
            workload.io_queue if is_chosen else self.best_queue, uses_workers=self.uses_workers
        )
