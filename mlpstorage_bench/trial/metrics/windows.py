"""Windows: how long they were, why they closed, and how far their edges lie apart."""

from __future__ import annotations

from mlpstorage_bench.measure.clock_offset import spread_ns
from mlpstorage_bench.metric.declaration import Measured, Metric, Shown
from mlpstorage_bench.metric.rules import LARGEST, LIST, NOT_COMBINED
from mlpstorage_bench.trial.rank_window import RankWindow
from mlpstorage_bench.trial.rank_windows import RANKS, RankWindows
from mlpstorage_bench.units import COUNT, MILLISECONDS, NS_PER_MS, SECONDS, TEXT


def _ms(time_ns: int | None) -> float | None:
    return None if time_ns is None else time_ns / NS_PER_MS


def _opened(trial: RankWindows[RankWindow]) -> float | None:
    return _ms(spread_ns([rank.edges.opened_ns for rank in trial.ranks if rank.edges]))


def _closed(trial: RankWindows[RankWindow]) -> float | None:
    return _ms(spread_ns([rank.edges.closed_ns for rank in trial.ranks if rank.edges]))


def _uncertainty(rank: RankWindow) -> float | None:
    return None if rank.edges is None else rank.edges.uncertainty_ns / NS_PER_MS


class Windows(Measured):
    """The measurement window."""

    ranks = Metric(
        "Number of ranks.",
        COUNT,
        RANKS.together("count", lambda trial: len(trial.ranks)),
        LARGEST,
    )
    window_s = Metric(
        "Length of the measurement window.",
        SECONDS,
        RANKS.largest(lambda rank: rank.window_s),
        LIST,
    )
    drain_s = Metric(
        "Time from the window's close until the last operation in flight had ended.",
        SECONDS,
        RANKS.largest(lambda rank: rank.drain_s),
        LARGEST,
    )
    window_open_spread_ms = Metric(
        "Time from when the first rank's window opened to when the last one's did; none in "
        "simulated time. Each edge is known to within clock_uncertainty_ms.",
        MILLISECONDS,
        RANKS.together("last - first", _opened),
        LARGEST,
        title="windows opened within ms",
        better="lower",
        shown=Shown.REPORT,
    )
    window_close_spread_ms = Metric(
        "Time from when the first rank's window closed to when the last one's did.",
        MILLISECONDS,
        RANKS.together("last - first", _closed),
        LARGEST,
        title="windows closed within ms",
        better="lower",
        shown=Shown.REPORT,
    )
    clock_uncertainty_ms = Metric(
        "How far a rank's clock may be from what was measured against rank 0's.",
        MILLISECONDS,
        RANKS.largest_known(_uncertainty),
        LARGEST,
        title="clocks known within ms",
        better="lower",
        shown=Shown.REPORT,
    )
    closed_by = Metric(
        "Reason for which the windows closed: duration, a limit of the work, or failure.",
        TEXT,
        RANKS.together("failure, or the first rank's", lambda trial: trial.closed_by),
        NOT_COMBINED,
    )
