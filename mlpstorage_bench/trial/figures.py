"""Figures of a case that any benchmark type has: distributions, lanes, ratios."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlpstorage_bench.benchmark_type.figures import Level, Share, ShareGroup
from mlpstorage_bench.benchmark_type.records import CaseRecord
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.lane_time import LaneTime
from mlpstorage_bench.metric.values import number_of
from mlpstorage_bench.units import NS_PER_MS

PERCENTS = (
    *(1, 5, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 92.5, 95, 97, 98, 99),
    *(99.5, 99.7, 99.8, 99.9, 99.95, 99.97, 99.98, 99.99, 99.999),
)
"""Percentiles of a distribution's points."""
_WHOLE = 100


def points(histogram: Histogram) -> Iterator[tuple[float, float]]:
    """Yield the percentiles that the number of samples can show, and the maximum."""
    for percent in PERCENTS:
        value = histogram.percentile_ms(percent)
        if value is not None and histogram.count * (_WHOLE - percent) >= _WHOLE:
            yield percent, value
    yield float(_WHOLE), histogram.max_ns / NS_PER_MS


def of_lanes(lanes: LaneTime) -> ShareGroup:
    """Return the uses of the lanes' time."""
    storage_s, request_s = lanes.storage_s, lanes.request_s
    work = {
        "at work": lanes.cpu_s,
        "waiting for a processor": lanes.queued_s,
        "waiting for Python's lock": lanes.lock_s,
        "waiting for the lanes' thread": lanes.thread_s,
    }
    scale = lanes.harness_s / sum(work.values()) if sum(work.values()) else 0.0
    parts = (
        ("waiting for storage", storage_s),
        *((name, seconds * scale) for name, seconds in work.items()),
        ("waiting for requests", request_s),
    )
    return ShareGroup(
        "Time of the lanes",
        "Seconds of all lanes in all windows; waits within this host are from samples.",
        "s",
        (Share("lanes", parts),),
    )


_LEVELS = (
    ("audit_ratio", "audit_verdict", "reported bytes ÷ the kernel's count for the ranks"),
    ("host_audit_ratio", "host_audit_verdict", "reported bytes ÷ the devices' count"),
    ("ceiling_ratio", "limited_by", "bandwidth ÷ ceiling of the harness on this host"),
)
"""Metrics that are ratios, the metrics that say what they mean, and names."""


def levels(case: CaseRecord) -> Iterator[Level]:
    """Yield the case's ratios of audits and of the ceiling."""
    metrics = case.metrics or {}
    for ratio_name, verdict_name, name in _LEVELS:
        ratio = number_of(metrics.get(ratio_name))
        if ratio is not None:
            verdict = str(metrics.get(verdict_name) or "")
            is_limit = verdict_name == "limited_by"
            yield Level(name, ratio, f"limited by {verdict}" if is_limit else verdict)


def io_modes_of(case: CaseRecord) -> tuple[str, ...]:
    """Return how the files of a case were moved, as the results of its ranks have it.

    A trial that failed has moved files, too; one without storage has not.
    """
    trials = [*case.trials, *([] if case.failed_trial is None else [case.failed_trial])]
    windows = (rank.get("mlpstorage") for trial in trials for rank in trial.ranks)
    modes = (
        one.get("io_mode")
        for one in windows
        if isinstance(one, Mapping) and not one.get("is_simulated")
    )
    return tuple(sorted({mode for mode in modes if isinstance(mode, str)}))
