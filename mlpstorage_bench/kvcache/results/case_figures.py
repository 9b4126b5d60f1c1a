"""Figures of a case from the results of its ranks: samples of all ranks and trials together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from pydantic import ValidationError

from mlpstorage_bench.benchmark_type.figures import (
    CaseFigures,
    Distribution,
    RankBandwidth,
    Share,
    ShareGroup,
)
from mlpstorage_bench.benchmark_type.records import CaseRecord, Json
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.results.recorded_samples import RankSamples
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.lane_time import LaneTime
from mlpstorage_bench.measure.operation_statistics import STORAGE_TIER
from mlpstorage_bench.metric.values import number_of
from mlpstorage_bench.results.record import problems_of
from mlpstorage_bench.trial.figures import levels, of_lanes, points
from mlpstorage_bench.trial.recorded_samples import RecordedHistogram, RecordedOperation
from mlpstorage_bench.units import GIB, NS_PER_S

Kind = Literal["read", "write"]
_KINDS: tuple[Kind, ...] = ("read", "write")
_PERCENTILES = (50, 95, 99, 999)
"""Percentiles that are metrics, as their names have them."""


def case_figures(case: CaseRecord) -> CaseFigures:
    """Return the figures of a case; InvalidInputError if a rank's result has not what they need."""
    ranks = [_samples(case, rank) for trial in case.trials for rank in trial.ranks]
    measured = [rank for rank in ranks if not rank.mlpstorage.is_simulated]
    operations = [one for rank in measured for one in rank.mlpstorage.histograms.operations]
    stored = {kind: _stored(operations, kind) for kind in _KINDS}
    return CaseFigures(
        case=case.case,
        title="" if case.option is None else str(case.parameters.get("title") or ""),
        parameters=case.parameters,
        was_simulated=len(measured) < len(ranks),
        io_modes=tuple(sorted({rank.mlpstorage.io_mode for rank in measured})),
        samples=_sample_counts(measured, stored) if measured else {},
        distributions=tuple(_distributions(stored)),
        shares=tuple(_shares(case, measured, operations, stored)),
        levels=tuple(levels(case)),
        ranks=tuple(_bandwidths(measured)),
    )


def _samples(case: CaseRecord, rank: Json) -> RankSamples:
    try:
        return RankSamples.model_validate(rank)
    except ValidationError as error:
        raise InvalidInputError(
            f"case {case.case}", "results of a rank", "its samples", hint=problems_of(error)
        ) from error


def _stored(operations: Sequence[RecordedOperation], kind: Kind) -> list[RecordedOperation]:
    return [one for one in operations if one.tier == STORAGE_TIER and one.kind == kind]


def _pooled(histograms: Iterable[RecordedHistogram]) -> Histogram:
    return Histogram.pooled(one.histogram() for one in histograms if one.count)


def _sample_counts(
    ranks: Sequence[RankSamples], stored: Mapping[Kind, Sequence[RecordedOperation]]
) -> dict[str, int]:
    """Return the number of samples of each metric that is a percentile."""
    counts: dict[str, int] = {}
    for kind, operations in stored.items():
        entries = sum(one.device.count for one in operations)
        counts |= {f"{kind}_p{percent}_ms": entries for percent in _PERCENTILES}
        counts[f"{kind}_chunk_p95_ms"] = sum(one.chunk.count for one in operations)
    requests = sum(rank.mlpstorage.histograms.request_latency.count for rank in ranks)
    counts |= {f"request_p{percent}_ms": requests for percent in _PERCENTILES}
    waits = sum(rank.mlpstorage.histograms.queue_wait.count for rank in ranks)
    return {**counts, "queue_wait_p95_ms": waits}


def _distributions(
    stored: Mapping[Kind, Sequence[RecordedOperation]],
) -> Iterator[Distribution]:
    for kind, operations in stored.items():
        for name, is_of_parts in (("entries", False), ("chunks", True)):
            pooled = _pooled(one.chunk if is_of_parts else one.device for one in operations)
            if pooled.count:
                yield Distribution(
                    f"{kind}, {name}", kind, is_of_parts, pooled.count, tuple(points(pooled))
                )


def _shares(
    case: CaseRecord,
    ranks: Sequence[RankSamples],
    operations: Sequence[RecordedOperation],
    stored: Mapping[Kind, Sequence[RecordedOperation]],
) -> Iterator[ShareGroup]:
    lanes = LaneTime.sum(
        None if rank.mlpstorage.lane_time is None else rank.mlpstorage.lane_time.lane_time()
        for rank in ranks
    )
    if lanes is not None:
        yield of_lanes(lanes)
    spans = tuple(_of_entries(kind, parts) for kind, parts in stored.items() if parts)
    if any(one.total for one in spans):
        yield ShareGroup(
            "Time of an entry",
            "Sum over all entries on storage: from the request to the end of the last chunk.",
            "s",
            spans,
        )
    purposes = tuple(_by_purpose(case))
    if purposes:
        yield ShareGroup("Lookups by purpose", "Hits and misses in any tier.", "", purposes)
    tiers = _by_tier(operations)
    if tiers.total:
        yield ShareGroup(
            "Reads by tier", "Bytes that requests read from each tier.", "bytes", (tiers,)
        )


def _of_entries(kind: Kind, operations: Sequence[RecordedOperation]) -> Share:
    def seconds(span: Iterable[RecordedHistogram]) -> float:
        return sum(one.sum for one in span) / NS_PER_S

    transfer_s = seconds(one.device for one in operations)
    flush_s = min(seconds(one.durability for one in operations), transfer_s)
    host_s = seconds(one.host_only for one in operations)
    verification_s = min(seconds(one.verification for one in operations), host_s)
    return Share(
        kind,
        (
            ("queue", seconds(one.wait for one in operations)),
            ("device", transfer_s - flush_s),
            ("flush", flush_s),
            ("verification", verification_s),
            ("other work of this host", host_s - verification_s),
        ),
    )


def _by_purpose(case: CaseRecord) -> Iterator[Share]:
    totals: dict[str, tuple[float, float]] = {}
    for trial in case.trials:
        lookups = trial.metrics.get("lookups")
        for purpose, found in lookups.items() if isinstance(lookups, dict) else ():
            counts = found if isinstance(found, dict) else {}
            hits, misses = totals.get(str(purpose), (0.0, 0.0))
            totals[str(purpose)] = (
                hits + (number_of(counts.get("hits")) or 0.0),
                misses + (number_of(counts.get("misses")) or 0.0),
            )
    for purpose, (hits, misses) in totals.items():
        if hits + misses:
            yield Share(purpose, (("hits", hits), ("misses", misses)))


def _by_tier(operations: Sequence[RecordedOperation]) -> Share:
    tiers: dict[str, float] = {}
    for one in operations:
        if one.kind == "read":
            read = max(0, one.moved_bytes - one.copied_bytes)
            tiers[one.tier] = tiers.get(one.tier, 0.0) + read
    return Share("reads", tuple(tiers.items()))


def _bandwidths(ranks: Sequence[RankSamples]) -> Iterator[RankBandwidth]:
    """Yield each rank's bandwidth on storage, the mean over trials."""
    by_rank: dict[int, list[RankSamples]] = {}
    for rank in ranks:
        by_rank.setdefault(rank.mlpstorage.rank, []).append(rank)
    for number, trials in sorted(by_rank.items()):
        means = {
            kind: sum(_gib_s(trial, kind) for trial in trials) / len(trials) for kind in _KINDS
        }
        own = [one.mlpstorage for one in trials]
        series = tuple((one.trial, one.time_series) for one in own if one.time_series is not None)
        yield RankBandwidth(number, own[0].host, means["read"], means["write"], series)


def _gib_s(rank: RankSamples, kind: Kind) -> float:
    own = rank.mlpstorage
    moved = sum(one.moved_bytes for one in _stored(own.histograms.operations, kind))
    return moved / own.window_s / GIB if own.window_s else 0.0
