"""Window: time of measurement, steadiness of bandwidth, and slow ranks."""

from __future__ import annotations

from dataclasses import dataclass

from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.kvcache.results.trial_ranks import RANKS, TrialRanks
from mlpstorage_bench.measure.steadiness import Steadiness
from mlpstorage_bench.measure.stragglers import Straggler, find_stragglers, missing_share
from mlpstorage_bench.metric.declaration import Measured, Metric, Shown
from mlpstorage_bench.metric.rules import JOINED, LARGEST, LIST, NOT_COMBINED, SUM
from mlpstorage_bench.units import (
    COUNT,
    GIB,
    RECORD,
    SHARE,
    TRUTH,
)


@dataclass(frozen=True)
class SteadinessEvidence:
    """How steady a rank's bandwidth was."""

    steady: bool
    slope_pct: float
    deviation_pct: float
    gib_s: list[float]
    """Bandwidth of each part of the time."""


@dataclass(frozen=True)
class PreconditioningEvidence:
    """Writes of a rank before all other steps."""

    seconds: float
    written_gib: float
    steadiness: list[SteadinessEvidence]
    """Steadiness of the writes at the end; empty if there were too few samples."""


def _operations(trial: TrialRanks, edge: str) -> int:
    return sum(getattr(o, edge) for rank in trial.ranks for o in rank.operations.values())


def _all_steady(trial: TrialRanks) -> bool | None:
    judged = [rank.steadiness for rank in trial.ranks]
    if any(one is None for one in judged):
        return None
    return all(one.is_steady for one in judged if one is not None)


def _evidence(judged: Steadiness | None) -> SteadinessEvidence | None:
    if judged is None:
        return None
    return SteadinessEvidence(
        steady=judged.is_steady,
        slope_pct=100 * judged.slope,
        deviation_pct=100 * judged.deviation,
        gib_s=[rate / GIB for rate in judged.rates],
    )


def _preconditioning(rank: RankTrial) -> PreconditioningEvidence | None:
    done = rank.preconditioning
    if done is None:
        return None
    evidence = _evidence(done.steadiness)
    return PreconditioningEvidence(
        done.seconds, done.written_bytes / GIB, [] if evidence is None else [evidence]
    )


def _stragglers(trial: TrialRanks) -> list[Straggler]:
    return find_stragglers([rank.work for rank in trial.ranks])


class Window(Measured):
    """Operations, steadiness and slow ranks in the window."""

    in_flight_at_open_operations = Metric(
        "Reads and writes of entries, on all tiers, in flight when the window opened.",
        COUNT,
        RANKS.together("sum", lambda trial: _operations(trial, "in_flight_at_open")),
        SUM,
        title="operations in flight at open",
        shown=Shown.REPORT,
    )
    in_flight_at_close_operations = Metric(
        "Reads and writes of entries, on all tiers, in flight when the window closed. Their "
        "finished chunks count, their latencies do not.",
        COUNT,
        RANKS.together("sum", lambda trial: _operations(trial, "in_flight_at_close")),
        SUM,
        title="operations in flight at close",
        shown=Shown.REPORT,
    )
    stragglers = Metric(
        "Ranks, and hosts (rank null), that moved less than their equals and were slower: host, "
        "rank, and share of what the median of them moved.",
        RECORD,
        RANKS.together("each against the median of its equals", _stragglers),
        JOINED,
    )
    straggler_loss = Metric(
        "Share of the bytes that is missing because stragglers moved less than their equals.",
        SHARE,
        RANKS.together(
            "missing ÷ (moved + missing)",
            lambda trial: missing_share([rank.work for rank in trial.ranks]),
        ),
        LARGEST,
        better="lower",
    )
    steady = Metric(
        "Whether bandwidth was steady inside the window; null where it was too short to tell.",
        TRUTH,
        RANKS.together("true if all are", _all_steady),
        LIST,
    )
    steadiness = Metric(
        "Evidence of each rank for steady: trend and deviation in %, GiB/s part by part.",
        RECORD,
        RANKS.each(lambda rank: _evidence(rank.steadiness)),
        NOT_COMBINED,
    )
    warm_up = Metric(
        "Evidence for steady bandwidth when the window opened, where it was waited for: trend and "
        "deviation in %, GiB/s part by part.",
        RECORD,
        RANKS.each(lambda rank: _evidence(rank.warm_up)),
        NOT_COMBINED,
    )
    preconditioning = Metric(
        "Seconds and GiB that each rank wrote before anything else, and how steady that was.",
        RECORD,
        RANKS.each(_preconditioning),
        NOT_COMBINED,
    )
    is_simulated = Metric(
        "Whether the trial ran without storage: values then state the demand of the workload.",
        TRUTH,
        RANKS.any_of(lambda rank: rank.is_simulated),
        LIST,
    )
