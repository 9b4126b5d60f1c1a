"""Records of all ranks of one trial, and values that several metrics use."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from mlpstorage_bench.measure.audit import Audit, is_measured, through_page_cache
from mlpstorage_bench.measure.ceiling import HARNESS, LOAD, LimitedBy, limited_by
from mlpstorage_bench.metric.rules import RankRules
from mlpstorage_bench.training.results.rank_training import EpochTimes, RankTraining
from mlpstorage_bench.training.results.samples import TrainingSamples
from mlpstorage_bench.training.workload.minimum import EpochFigures, mib_per_s
from mlpstorage_bench.trial.host_traffic import HostTraffic
from mlpstorage_bench.trial.rank_windows import RankWindows, part
from mlpstorage_bench.units import NS_PER_S

_PERCENT = 100.0


@dataclass(frozen=True)
class TrainingRanks(RankWindows[RankTraining]):
    """Records of all ranks, and their samples added up.

    Of the records their totals are enough where the samples are given.
    """

    samples: TrainingSamples = field(default_factory=TrainingSamples)

    @cached_property
    def epochs(self) -> list[EpochFigures]:
        """Figures of each epoch: the mean of the ranks' utilizations, the sum of their rates."""
        by_epoch = zip(*(rank.figures for rank in self.ranks), strict=False)
        return [
            EpochFigures(
                statistics.fmean(one.au_percentage for one in of_ranks),
                sum(one.samples_per_s for one in of_ranks),
            )
            for of_ranks in by_epoch
        ]

    @property
    def au_percentage(self) -> float | None:
        """Mean of the epochs' utilizations; None without an epoch."""
        return _mean([one.au_percentage for one in self.epochs])

    @property
    def samples_per_s(self) -> float | None:
        """Mean of the epochs' rates; None without an epoch."""
        return _mean([one.samples_per_s for one in self.epochs])

    @property
    def mib_per_s(self) -> float | None:
        """Bandwidth as the reference reports it; None without an epoch."""
        rate = self.samples_per_s
        return None if rate is None else mib_per_s(rate, self.ranks[0].record_bytes)

    @property
    def least_au_percentage(self) -> float | None:
        """Mean utilization of the accelerator with the least; None without an epoch."""
        known = [_mean([one.au_percentage for one in rank.figures]) for rank in self.ranks]
        return min((one for one in known if one is not None), default=None)

    def share_of_steps(self, spent_ns: Callable[[EpochTimes], int]) -> float | None:
        """Return a part of the time of all steps but the first ones; None without such steps."""
        epochs = [epoch for rank in self.ranks for epoch in rank.epochs]
        whole = sum(epoch.ended_ns - epoch.first_step_ended_ns for epoch in epochs)
        return part(sum(spent_ns(epoch) for epoch in epochs), whole)

    @property
    def data_wait_share(self) -> float | None:
        """Share of the steps' time in which accelerators waited for a batch."""
        return self.share_of_steps(lambda one: one.data_wait_ns - one.first_wait_ns)

    @property
    def late_share(self) -> float | None:
        """Share of the steps' time by which computations ended late."""
        return self.share_of_steps(lambda one: one.late_ns)

    @property
    def limited_by(self) -> LimitedBy:
        """Limit of the result: the load, where accelerators were as busy as is demanded.

        Else it is what they waited for: lanes have waited for requests, too, as accelerators took
        batches late, but more of these would not have been read sooner. Reads of a library have no
        ceiling: the lanes' time alone tells their limit.
        """
        utilization, ratio, spent = self.au_percentage, self.ceiling_ratio, self.lane_time
        if utilization is None:
            return super().limited_by
        if utilization >= _PERCENT * max(rank.least_au for rank in self.ranks):
            return LOAD
        if (self.late_share or 0.0) > (self.data_wait_share or 0.0):
            return HARNESS
        if ratio is None and spent is not None:
            ratio = 0.0
        return limited_by(ratio, spent, self.memory_share, can_be_load=False)

    def judged(self, host: HostTraffic, audits: list[Audit]) -> list[Audit]:
        """Return audits of a host, where the page cache may have data if reads go through it."""
        if any(rank.io_mode != "buffered" for rank in host.ranks):
            return audits
        of_processes = [one for one in (rank.audit for rank in host.ranks) if is_measured(one)]
        of_client = host.mount_audit or (None if of_processes else host.audit)
        expected = max(
            sum(one.cached_bytes for one in of_processes),
            0 if of_client is None else of_client.cached_bytes,
        )
        reported = sum(rank.completed.total for rank in host.ranks)
        return [through_page_cache(one, expected, reported) for one in audits]

    @property
    def epoch_s(self) -> float | None:
        """Mean over epochs of the slowest rank's time; None without an epoch."""
        by_epoch = zip(*(rank.epochs for rank in self.ranks), strict=False)
        return _mean([max(one.seconds for one in of_ranks) for of_ranks in by_epoch])

    @property
    def first_batch_s(self) -> float | None:
        """Mean over epochs and ranks of the wait for the first batch; None without an epoch."""
        waits = [epoch.first_wait_ns / NS_PER_S for rank in self.ranks for epoch in rank.epochs]
        return _mean(waits)

    @property
    def page_cache_share(self) -> float | None:
        """Share of the bytes that the page cache had; None if nothing was read."""
        return part(self.page_cache_bytes, self.traffic.read_bytes)


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


RANKS = RankRules[RankTraining, TrainingSamples, TrainingRanks]()
"""Rules by which metrics derive from these records."""
