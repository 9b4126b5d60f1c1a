"""Figures of a case for reports: distributions, uses of the lanes' time, bandwidth by rank."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlpstorage_bench.benchmark_type.figures import CaseFigures, Distribution, RankBandwidth
from mlpstorage_bench.benchmark_type.records import CaseRecord, Json
from mlpstorage_bench.checkpointing.config.parameters import KINDS, Kind
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.lane_time import LaneTime
from mlpstorage_bench.measure.operation_statistics import STORAGE_TIER
from mlpstorage_bench.measure.time_series import TimeSeries
from mlpstorage_bench.results.record import problems_of
from mlpstorage_bench.trial.figures import levels, of_lanes, points
from mlpstorage_bench.trial.recorded_samples import (
    RecordedHistogram,
    RecordedLaneTime,
    RecordedOperation,
)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Histograms(_Part):
    operations: tuple[RecordedOperation, ...]


class _Additions(_Part):
    rank: Annotated[int, Field(ge=0)]
    host: str
    trial: int
    kind: Kind
    io_mode: str
    gib_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    lane_time: RecordedLaneTime | None = None
    histograms: _Histograms
    time_series: TimeSeries | None = None


class _Rank(_Part):
    mlpstorage: _Additions


def case_figures(case: CaseRecord) -> CaseFigures:
    """Return the figures of a case; InvalidInputError if a rank's result has not what they need."""
    ranks = [_rank(case, rank) for trial in case.trials for rank in trial.ranks]
    lanes = LaneTime.sum(
        None if rank.lane_time is None else rank.lane_time.lane_time() for rank in ranks
    )
    return CaseFigures(
        case=case.case,
        title="checkpoints",
        parameters=case.parameters,
        io_modes=tuple(sorted({rank.io_mode for rank in ranks})),
        samples=_sample_counts(ranks),
        distributions=tuple(_distributions(ranks)),
        shares=() if lanes is None else (of_lanes(lanes),),
        levels=tuple(levels(case)),
        ranks=tuple(_bandwidths(ranks)),
    )


def _rank(case: CaseRecord, rank: Json) -> _Additions:
    try:
        return _Rank.model_validate(rank).mlpstorage
    except ValidationError as error:
        raise InvalidInputError(
            f"case {case.case}", "results of a rank", "its samples", hint=problems_of(error)
        ) from error


def _stored(ranks: Sequence[_Additions], kind: Kind) -> list[RecordedOperation]:
    return [
        one
        for rank in ranks
        for one in rank.histograms.operations
        if (one.tier, one.kind) == (STORAGE_TIER, kind)
    ]


def _sample_counts(ranks: Sequence[_Additions]) -> dict[str, int]:
    """Return the number of samples of each metric that is a percentile."""
    counts: dict[str, int] = {}
    for kind in KINDS:
        operations = _stored(ranks, kind)
        for percent in (50, 95, 99):
            counts[f"{kind}_chunk_p{percent}_ms"] = sum(one.chunk.count for one in operations)
        for percent in (50, 95):
            counts[f"{kind}_p{percent}_ms"] = sum(one.device.count for one in operations)
    flushes = sum(one.durability.count for one in _stored(ranks, "write"))
    return {**counts, **{f"flush_p{percent}_ms": flushes for percent in (50, 95, 99)}}


def _distributions(ranks: Sequence[_Additions]) -> Iterator[Distribution]:
    for kind in KINDS:
        operations = _stored(ranks, kind)
        for name, is_of_parts, histograms in (
            ("files", False, [one.device for one in operations]),
            ("chunks", True, [one.chunk for one in operations]),
            ("flushes", True, [one.durability for one in operations]),
        ):
            pooled = _pooled(histograms)
            if pooled.count:
                yield Distribution(
                    f"{kind}, {name}", kind, is_of_parts, pooled.count, tuple(points(pooled))
                )


def _pooled(histograms: Iterable[RecordedHistogram]) -> Histogram:
    return Histogram.pooled(one.histogram() for one in histograms if one.count)


def _bandwidths(ranks: Sequence[_Additions]) -> Iterator[RankBandwidth]:
    for number in sorted({rank.rank for rank in ranks}):
        own = [rank for rank in ranks if rank.rank == number]
        of_kind = {
            kind: statistics.fmean(rates) if rates else 0.0
            for kind in KINDS
            for rates in [[rank.gib_s for rank in own if rank.kind == kind]]
        }
        yield RankBandwidth(
            number,
            own[0].host,
            of_kind["read"],
            of_kind["write"],
            tuple((rank.trial, rank.time_series) for rank in own if rank.time_series is not None),
        )
