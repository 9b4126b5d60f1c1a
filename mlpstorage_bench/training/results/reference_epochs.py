"""Figures of epochs in the reference's form: of a summary, and of a rank's epochs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlpstorage_bench.benchmark_type.records import Json
from mlpstorage_bench.training.results.rank_result import BLOCK
from mlpstorage_bench.training.results.recorded_rank import RecordedEpoch, RecordedRank
from mlpstorage_bench.training.workload.minimum import EpochFigures, mib_per_s
from mlpstorage_bench.units import NS_PER_S

_PERCENT = 100.0


def pooled_epochs(ranks: Sequence[RecordedRank]) -> list[EpochFigures]:
    """Return the figures of each epoch of a trial: mean of utilizations, sum of rates."""
    return [
        EpochFigures(
            statistics.fmean(one.au_percentage for one in of_ranks),
            sum(one.samples_per_s for one in of_ranks),
        )
        for of_ranks in zip(*(rank.figures for rank in ranks), strict=False)
    ]


def metric(epochs: Sequence[EpochFigures], record_bytes: int, least_au: float) -> Json:
    """Return the summary's `metric`: deviations are those of the whole population.

    `least_au` is a share. An empty object without an epoch.
    """
    if not epochs:
        return {}
    utilizations = [one.au_percentage for one in epochs]
    rates = [one.samples_per_s for one in epochs]
    mean, rate = statistics.fmean(utilizations), statistics.fmean(rates)
    deviation = statistics.pstdev(rates)
    return {
        "train_au_percentage": utilizations,
        "train_au_mean_percentage": mean,
        "train_au_meet_expectation": "success" if mean >= _PERCENT * least_au else "fail",
        "train_au_stdev_percentage": statistics.pstdev(utilizations),
        "train_throughput_samples_per_second": rates,
        "train_throughput_mean_samples_per_second": rate,
        "train_throughput_stdev_samples_per_second": deviation,
        "train_io_mean_MB_per_second": mib_per_s(rate, record_bytes),
        "train_io_stdev_MB_per_second": mib_per_s(deviation, record_bytes),
    }


@dataclass(frozen=True)
class _Times:
    start: datetime
    end: datetime
    seconds: float

    @classmethod
    def of(cls, epoch: RecordedEpoch) -> _Times:
        start = datetime.fromtimestamp(epoch.began_at)  # noqa: DTZ006 - the reference has no zone
        seconds = max(0.0, (epoch.ended_ns - epoch.began_ns) / NS_PER_S)
        return cls(start, start + timedelta(seconds=seconds), seconds)

    @property
    def text(self) -> str:
        """The duration: a text of two decimals."""
        return f"{self.seconds:.2f}"


def per_epoch_stats(rank: RecordedRank) -> Json:
    """Return the content of a rank's `<rank>_per_epoch_stats.json`."""
    stats: dict[str, object] = {}
    for epoch in rank.mlpstorage.epochs:
        times = _Times.of(epoch)
        start, end = times.start.isoformat(), times.end.isoformat()
        stats[str(epoch.epoch)] = {
            "start": start,
            BLOCK: {"start": start, "end": end, "duration": times.text},
            "end": end,
            "duration": times.text,
        }
    return stats


def edges(ranks: Sequence[RecordedRank]) -> tuple[str | None, str | None]:
    """Return when the first epoch of any rank began, and the last one ended; None without any."""
    times = [_Times.of(epoch) for rank in ranks for epoch in rank.mlpstorage.epochs]
    if not times:
        return None, None
    return min(t.start for t in times).isoformat(), max(t.end for t in times).isoformat()
