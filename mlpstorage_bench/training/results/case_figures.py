"""Figures of a training from the results of its ranks: all ranks and trials together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlpstorage_bench.benchmark_type.figures import (
    CaseFigures,
    Distribution,
    RankBandwidth,
    Share,
    ShareGroup,
)
from mlpstorage_bench.benchmark_type.records import CaseRecord
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.lane_time import LaneTime
from mlpstorage_bench.training.results.recorded_rank import RecordedRank, recorded_trials
from mlpstorage_bench.trial.figures import levels, of_lanes, points
from mlpstorage_bench.units import GIB, NS_PER_S

_PERCENTILES = (50, 95, 99, 999)
"""Percentiles that are metrics, as their names have them."""


def case_figures(case: CaseRecord) -> CaseFigures:
    """Return the figures of a training; InvalidInputError if a rank's result is unusable."""
    ranks = [rank for trial in recorded_trials(case) for rank in trial]
    pooled = {
        name: Histogram.pooled(
            getattr(one, span).histogram()
            for rank in ranks
            for one in rank.mlpstorage.histograms.operations
            if one.kind == "read"
        )
        for name, span in (("samples", "device"), ("chunks", "chunk"))
    }
    counts = {f"read_p{percent}_ms": pooled["samples"].count for percent in _PERCENTILES}
    return CaseFigures(
        case=case.case,
        title=str(case.parameters.get("title") or ""),
        parameters=case.parameters,
        io_modes=tuple(sorted({rank.mlpstorage.io_mode for rank in ranks})),
        samples={**counts, "read_chunk_p95_ms": pooled["chunks"].count} if ranks else {},
        distributions=tuple(
            Distribution(f"read, {name}", "read", name == "chunks", one.count, tuple(points(one)))
            for name, one in pooled.items()
            if one.count
        ),
        shares=tuple(_shares(ranks)),
        levels=tuple(levels(case)),
        ranks=tuple(_bandwidths(ranks)),
    )


def _shares(ranks: Sequence[RecordedRank]) -> Iterator[ShareGroup]:
    epochs = [epoch for rank in ranks for epoch in rank.mlpstorage.epochs]
    waited = sum(one.data_wait_ns - one.first_wait_ns for one in epochs) / NS_PER_S
    first = sum(one.first_wait_ns for one in epochs) / NS_PER_S
    late = sum(one.late_ns for one in epochs) / NS_PER_S
    whole = sum(one.ended_ns - one.began_ns for one in epochs) / NS_PER_S
    if whole > 0:
        computed = max(0.0, whole - waited - first - late)
        parts = (
            ("computing", computed),
            ("waiting for the first batch", first),
            ("waiting for other batches", waited),
            ("computing late", late),
        )
        yield ShareGroup(
            "Time of the accelerators",
            "Seconds of all accelerators in all epochs.",
            "s",
            (Share("accelerators", parts),),
        )
    lanes = LaneTime.sum(
        None if rank.mlpstorage.lane_time is None else rank.mlpstorage.lane_time.lane_time()
        for rank in ranks
    )
    if lanes is not None:
        yield of_lanes(lanes)


def _bandwidths(ranks: Sequence[RecordedRank]) -> Iterator[RankBandwidth]:
    """Yield each rank's bandwidth, the mean over trials."""
    by_rank: dict[int, list[RecordedRank]] = {}
    for rank in ranks:
        by_rank.setdefault(rank.mlpstorage.rank, []).append(rank)
    for number, trials in sorted(by_rank.items()):
        own = [one.mlpstorage for one in trials]
        rates = [
            sum(o.moved_bytes for o in one.histograms.operations) / GIB / one.window_s
            for one in own
            if one.window_s
        ]
        series = tuple((one.trial, one.time_series) for one in own if one.time_series is not None)
        mean = sum(rates) / len(rates) if rates else 0.0
        yield RankBandwidth(number, own[0].host, mean, 0.0, series)
