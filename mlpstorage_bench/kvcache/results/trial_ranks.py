"""Records of all ranks of one trial, and their samples together."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.kvcache.results.samples import PooledHistograms
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.operation_statistics import STORAGE_TIER, Kind
from mlpstorage_bench.metric.rules import RankRules
from mlpstorage_bench.trial.rank_windows import RankWindows


@dataclass(frozen=True)
class TrialRanks(RankWindows[RankTrial]):
    """Records of all ranks, and their samples added up.

    Of the records their totals are enough where the samples are given.
    """

    samples: PooledHistograms = field(default_factory=PooledHistograms)


RANKS = RankRules[RankTrial, PooledHistograms, TrialRanks]()
"""Rules by which metrics derive from these records."""


def pooled_span(samples: PooledHistograms, kind: Kind, span: str) -> Histogram:
    """Return the histogram of a span over all sizes of entries on storage."""
    return Histogram.pooled(
        getattr(operation, span)
        for key, operation in samples.operations.items()
        if (key.tier, key.kind) == (STORAGE_TIER, kind)
    )
