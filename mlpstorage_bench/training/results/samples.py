"""Histograms added up over ranks and trials: the source of every percentile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.operation_statistics import (
    STORAGE_TIER,
    OperationKey,
    OperationStatistics,
    merge_operations,
)
from mlpstorage_bench.training.results.rank_training import RankTraining


@dataclass
class TrainingSamples:
    """Operations of any number of ranks and trials, of constant size."""

    operations: dict[OperationKey, OperationStatistics] = field(default_factory=dict)

    def merge(self, other: TrainingSamples) -> TrainingSamples:
        """Add the samples of another object, and return this one."""
        merge_operations(self.operations, other.operations)
        return self

    @classmethod
    def total(cls, samples: Iterable[TrainingSamples]) -> TrainingSamples:
        """Return the sum of samples."""
        total = cls()
        for one in samples:
            total.merge(one)
        return total

    @classmethod
    def of(cls, ranks: Iterable[RankTraining]) -> TrainingSamples:
        """Return the sum over these ranks and trials."""
        return cls.total(cls(rank.operations) for rank in ranks)

    def span(self, name: str) -> Histogram:
        """Return a span of reads, over all sizes of samples."""
        return Histogram.pooled(
            getattr(operation, name)
            for key, operation in self.operations.items()
            if (key.tier, key.kind) == (STORAGE_TIER, "read")
        )
