"""Ranks: who was slow, and what preceded the reads."""

from __future__ import annotations

from dataclasses import dataclass

from mlpstorage_bench.checkpointing.results.checkpoint_ranks import RANKS, CheckpointRanks
from mlpstorage_bench.checkpointing.results.rank_checkpoint import RankCheckpoint
from mlpstorage_bench.measure.stragglers import Straggler, find_stragglers, waiting_share
from mlpstorage_bench.metric.declaration import Measured, Metric, Shown
from mlpstorage_bench.metric.rules import JOINED, LARGEST, LIST, NOT_COMBINED, of_largest
from mlpstorage_bench.units import COUNT, RATIO, RECORD, SECONDS, SHARE, TEXT

_SLOWEST = of_largest("slowest_rank_s")


@dataclass(frozen=True)
class RankFigures:
    """A rank's own part of a checkpoint."""

    rank: int
    host: str
    seconds: float
    gib_s: float


def _figures(rank: RankCheckpoint) -> RankFigures:
    return RankFigures(rank.rank, rank.host, rank.window_s, rank.gib_s)


def _spread(trial: CheckpointRanks) -> float | None:
    slowest = trial.slowest.window_s
    return (slowest - trial.fastest.window_s) / slowest if slowest else None


def _stragglers(trial: CheckpointRanks) -> list[Straggler]:
    return find_stragglers([rank.work for rank in trial.ranks])


def _dropped(trial: CheckpointRanks) -> str:
    if trial.kind == "write":
        return ""
    problem = next((rank.drop_problem for rank in trial.ranks if rank.drop_problem), "")
    if problem:
        return problem
    pages = trial.cached_pages
    if pages is None:
        return ""
    return "dropped" if not pages else f"{pages} pages left"


class Ranks(Measured):
    """Ranks."""

    by_rank = Metric(
        "Each rank's own seconds and bandwidth: rank, host, seconds, gib_s.",
        RECORD,
        RANKS.each(_figures),
        JOINED,
    )
    slowest_rank = Metric(
        "Rank that finished last.",
        COUNT,
        RANKS.together("that with the longest time", lambda trial: trial.slowest.rank),
        _SLOWEST,
        title="slowest rank",
        shown=Shown.REPORT,
        beside="slowest_rank_s",
    )
    slowest_rank_s = Metric(
        "Own time of the rank that finished last.",
        SECONDS,
        RANKS.together("largest", lambda trial: trial.slowest.window_s),
        LARGEST,
        better="lower",
    )
    slowest_host = Metric(
        "Host of the rank that finished last.",
        TEXT,
        RANKS.together("that with the longest time", lambda trial: trial.slowest.host),
        _SLOWEST,
        title="slowest host",
        shown=Shown.REPORT,
    )
    rank_spread = Metric(
        "Share of the slowest rank's time by which the fastest one was faster.",
        SHARE,
        RANKS.together("(slowest - fastest) ÷ slowest", _spread),
        LARGEST,
        better="lower",
    )
    stragglers = Metric(
        "Ranks, and hosts (rank null), that were slower than their equals: host, rank, and share "
        "of what the median of them moved in the same time.",
        RECORD,
        RANKS.together("each against the median of its equals", _stragglers),
        JOINED,
    )
    straggler_loss = Metric(
        "Share of the time in which stragglers alone had not finished.",
        SHARE,
        RANKS.together(
            "(longest - longest of the others) ÷ longest",
            lambda trial: waiting_share([rank.work for rank in trial.ranks]),
        ),
        LARGEST,
        better="lower",
    )
    handover_s = Metric(
        "Time from the end of the last write to the beginning of the read; none of writes.",
        SECONDS,
        RANKS.largest_known(lambda rank: rank.handover_s),
        NOT_COMBINED,
    )
    data_to_memory = Metric(
        "Bytes of all checkpoints, for reads of those that are there, ÷ memory that the ranks of a "
        "host may have, the least of any host; none where that is unknown. The rules ask for more "
        "than 3 or for caches that are dropped.",
        RATIO,
        RANKS.smallest_known(lambda rank: rank.data_to_memory),
        LARGEST,
        title="data ÷ memory",
    )
    caches = Metric(
        "Whether the files were out of the page cache before the first read, and before one of a "
        "checkpoint that was read before: dropped, the pages that were left, or why neither is "
        "known; empty of writes and other reads.",
        TEXT,
        RANKS.together("sum of pages, or the first reason", _dropped),
        LIST,
    )
