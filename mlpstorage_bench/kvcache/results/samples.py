"""Histograms and counters added up over ranks and trials: the source of every percentile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mlpstorage_bench.kvcache.config.request_counters import RequestCounters
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.operation_statistics import (
    OperationKey,
    OperationStatistics,
    merge_operations,
)


@dataclass
class PooledHistograms:
    """Histograms and counters of any number of ranks and trials, of constant size."""

    requests: RequestCounters = field(default_factory=RequestCounters)
    operations: dict[OperationKey, OperationStatistics] = field(default_factory=dict)
    """Operations by tier, kind and size class."""
    lateness: Histogram = field(default_factory=Histogram)
    """Lateness of requests that arrived at a rate."""

    def merge(self, other: PooledHistograms) -> PooledHistograms:
        """Add the samples of another object, and return this one."""
        self.requests.merge(other.requests)
        merge_operations(self.operations, other.operations)
        self.lateness.merge(other.lateness)
        return self

    @classmethod
    def total(cls, samples: Iterable[PooledHistograms]) -> PooledHistograms:
        """Return the sum of samples."""
        total = cls()
        for one in samples:
            total.merge(one)
        return total

    @classmethod
    def of(cls, ranks: Iterable[RankTrial]) -> PooledHistograms:
        """Return the sum over these ranks and trials."""
        return cls.total(
            cls(rank.requests, rank.operations, rank.lateness or Histogram()) for rank in ranks
        )
