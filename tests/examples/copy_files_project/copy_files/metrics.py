"""The metrics of this type: bandwidths, beside those that every window has."""

from __future__ import annotations

from mlpstorage_bench import Measured, Metric, Shown, metric_rules, units
from mlpstorage_bench.own_types import LANE_RANKS, WINDOW_GROUPS, MetricTable


class Copies(Measured):
    """Copies of files."""

    write_gib_s = Metric(
        "Bandwidth of writes, over the whole window.",
        units.GIB_PER_S,
        LANE_RANKS.total_known(lambda rank: rank.per_s(rank.reported.write_bytes / units.GIB)),
        metric_rules.MEAN_WITH_SPREAD,
        title="write GiB/s",
        better="higher",
        shown=Shown.LISTS,
    )
    read_gib_s = Metric(
        "Bandwidth of reads, over the whole window.",
        units.GIB_PER_S,
        LANE_RANKS.total_known(lambda rank: rank.per_s(rank.reported.read_bytes / units.GIB)),
        metric_rules.MEAN_WITH_SPREAD,
        title="read GiB/s",
        better="higher",
        gate="-10%",
        shown=Shown.LISTS,
    )
    read_p95_ms = Metric(
        "Time of the reads of files in system calls.",
        units.MILLISECONDS,
        LANE_RANKS.pooled(lambda samples: samples.span("read").percentile_ms(95)),
        metric_rules.POOLED,
        better="lower",
        shown=Shown.HEADLINE,
    )


TABLE = MetricTable(Copies, *WINDOW_GROUPS)
"""All metrics, and those that plugins of the session declare."""
