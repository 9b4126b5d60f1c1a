"""Record of one rank's part of one checkpoint, and the samples of any number of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from mlpstorage_bench.checkpointing.config.parameters import Kind
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.operation_statistics import (
    STORAGE_TIER,
    OperationKey,
    OperationStatistics,
    merge_operations,
)
from mlpstorage_bench.measure.stragglers import Work
from mlpstorage_bench.trial.rank_window import RankWindow
from mlpstorage_bench.units import GIB


@dataclass(frozen=True, kw_only=True)
class CheckpointPart:
    """One rank's part of a checkpoint, and the training around it."""

    kind: Kind
    checkpoint: int
    """Number of the checkpoint, from 1."""
    tensor_bytes: int
    """Bytes of the tensors in the rank's share, without what files have besides."""
    files: int
    """Files that were complete when the window closed."""
    corrupt_files: int = 0
    """Files in which a read found other data than was written."""
    snapshot_s: float | None = None
    """Seconds in which the share was copied to memory; None if it was written directly."""
    training_began_ns: int | None = None
    """When training went on, and writing began, by the rank's clock; None without a copy.

    It is a common moment of all ranks, after the last one's copy.
    """
    interval_s: float = 0.0
    """Seconds of training between this checkpoint and the next."""
    handover_s: float | None = None
    """Seconds since the last write of any checkpoint ended; None of a write."""
    data_to_memory: float | None = None
    """Bytes of all checkpoints of the rank ÷ its share of the host's memory; None if unknown."""
    cached_pages: int | None = None
    """Pages of the rank's files that were left in the page cache after the drop; None if they
    were not dropped, or nothing counts them."""
    drop_problem: str = ""
    """Reason why pages were not dropped or counted; '' if they were."""


@dataclass(frozen=True, kw_only=True)
class RankCheckpoint(CheckpointPart, RankWindow):
    """Record of one rank's part of a checkpoint that was written or read.

    Its window opens when all ranks are there, and closes when the rank's own files are complete.
    """

    @classmethod
    def of(cls, window: RankWindow, part: CheckpointPart) -> Self:
        """Return the record of a rank that has moved its part in a window."""
        return cls._joined(window, part)

    @property
    def work(self) -> Work:
        """Work of the rank on storage, to be compared with other ranks."""
        operations = sum(one.chunks for one in self.stored)
        return self.work_of(operations, seconds=self.window_s)

    @property
    def gib_s(self) -> float:
        """Bandwidth of the rank by itself."""
        return self.tensor_bytes / GIB / self.window_s if self.window_s else 0.0


@dataclass
class CheckpointSamples:
    """Samples of any number of ranks and checkpoints, of constant size."""

    operations: dict[OperationKey, OperationStatistics] = field(default_factory=dict)
    """Operations by tier, kind and size of the file."""

    def merge(self, other: CheckpointSamples) -> CheckpointSamples:
        """Add the samples of another object, and return this one."""
        merge_operations(self.operations, other.operations)
        return self

    @classmethod
    def total(cls, samples: Iterable[CheckpointSamples]) -> CheckpointSamples:
        """Return the sum of samples."""
        total = cls()
        for one in samples:
            total.merge(one)
        return total

    @classmethod
    def of(cls, ranks: Iterable[RankCheckpoint]) -> CheckpointSamples:
        """Return the sum over these ranks."""
        return cls.total(cls(rank.operations) for rank in ranks)

    def span(self, kind: Kind, span: str) -> Histogram:
        """Return the histogram of a span over files of all sizes."""
        return Histogram.pooled(
            getattr(operation, span)
            for key, operation in self.operations.items()
            if (key.tier, key.kind) == (STORAGE_TIER, kind)
        )
