"""Limits: the limiting component of a trial, and the cost of the harness."""

from __future__ import annotations

from collections.abc import Callable

from mlpstorage_bench.measure.lane_time import LaneTime
from mlpstorage_bench.metric.declaration import Measured, Metric, Shown
from mlpstorage_bench.metric.rules import LARGEST, LIST, MEAN, SUM, of_largest
from mlpstorage_bench.trial.rank_window import RankWindow
from mlpstorage_bench.trial.rank_windows import RANKS, RankWindows, part
from mlpstorage_bench.units import (
    BYTES,
    COUNT,
    GIB,
    GIB_PER_S,
    MILLISECONDS,
    NS_PER_S,
    PER_S,
    S_PER_GIB,
    SHARE,
    TEXT,
)

_NEAREST = of_largest("ceiling_ratio")


def _lane_share(seconds: Callable[[LaneTime], float], meaning: str) -> Metric[float | None]:
    """Declare a share of the lanes' time."""

    def share(trial: RankWindows[RankWindow]) -> float | None:
        spent = trial.lane_time
        return None if spent is None else part(seconds(spent), spent.total_s)

    return Metric(
        f"Share of the lanes' time in which {meaning}; none where the kernel does not tell.",
        SHARE,
        RANKS.together("sum of seconds ÷ sum of lanes x window", share),
        MEAN,
    )


def _ceiling_gib_s(trial: RankWindows[RankWindow]) -> float | None:
    ceilings = trial.ceilings
    return sum(ceiling.gib_s for ceiling in ceilings) if ceilings else None


def _ceiling_operations(trial: RankWindows[RankWindow]) -> float | None:
    ceilings = trial.ceilings
    return sum(ceiling.operations_per_s for ceiling in ceilings) if ceilings else None


def _cpu_s_per_gib(trial: RankWindows[RankWindow]) -> float | None:
    cpu_s = trial.cpu_s
    return None if cpu_s is None else part(cpu_s, trial.traffic.total / GIB)


def _overestimate(trial: RankWindows[RankWindow]) -> float | None:
    """Return the share of spans that is not the storage's, at most; None if it is not known.

    A wait in a transfer makes longer the spans of those chunks that ended meanwhile or that it
    submits, not those of chunks that are still with the storage.
    """
    bounds_ns, all_spans_ns = 0.0, 0
    for rank in trial.ranks:
        if rank.lane_time is None:
            return None
        late_ns = sum(operation.latency_overestimate_ns for operation in rank.stored)
        spans_ns = sum(one.chunk.sum_ns + one.durability.sum_ns for one in rank.stored)
        waits_ns = rank.lane_time.late_spans_s(rank.in_flight / rank.movers) * NS_PER_S
        bounds_ns += min(late_ns + waits_ns, spans_ns)
        all_spans_ns += spans_ns
    return part(bounds_ns, all_spans_ns)


class Limits(Measured):
    """Limits of the result."""

    limited_by = Metric(
        "Limit of the trial: storage, harness (this host), load (lanes waited for requests), "
        "unknown, or not calibrated.",
        TEXT,
        RANKS.together("by ceiling_ratio and the lanes' time", lambda trial: trial.limited_by),
        _NEAREST,
        formula="harness from 0.8 of the ceiling; else what most of the lanes' time was spent on: "
        "storage_wait_share, harness_time_share or request_wait_share; harness in place of storage "
        "where most bytes never left this host's memory, or storage had nothing to do. Of a "
        "training: load from the least AU of its model on, and never below it; without a ceiling, "
        "as of reads by a library, what most of the lanes' time was spent on",
        title="limited by",
        shown=Shown.HEADLINE,
        legend="limited by: what kept the result from being higher: the storage, this host "
        "(harness), or too few requests (load); not calibrated where this host's ceiling was not "
        "measured",
    )
    ceiling_ratio = Metric(
        "Share of the harness ceiling that was reached, for operations or bandwidth, whichever is "
        "nearer; none when not calibrated.",
        SHARE,
        RANKS.together("sum of measured ÷ sum of ceilings", lambda trial: trial.ceiling_ratio),
        _NEAREST,
        formula="measured ÷ what the same lanes, chunks and checks reach without storage",
        title="share of harness ceiling",
        shown=Shown.REPORT,
    )
    ceiling_operations_per_s = Metric(
        "Chunks per second that the harness reaches over a tier that moves nothing.",
        PER_S,
        RANKS.together("sum", _ceiling_operations),
        _NEAREST,
    )
    ceiling_gib_s = Metric(
        "Bandwidth that the harness reaches over memory.",
        GIB_PER_S,
        RANKS.together("sum", _ceiling_gib_s),
        _NEAREST,
    )
    storage_wait_share = _lane_share(
        lambda spent: spent.storage_s,
        "they waited for storage: transfers, syncs, creating and removing files",
    )
    harness_time_share = _lane_share(
        lambda spent: spent.harness_s,
        "they worked, or waited for their thread, a processor or Python's lock",
    )
    processor_wait_share = _lane_share(
        lambda spent: spent.queued_s, "they were ready to run and waited for a processor"
    )
    lock_wait_share = _lane_share(
        lambda spent: spent.lock_s, "they waited for Python's lock, by samples"
    )
    thread_wait_share = _lane_share(
        lambda spent: spent.thread_s, "they were ready to run and another lane had their thread"
    )
    request_wait_share = _lane_share(lambda spent: spent.request_s, "they waited for a request")
    busy_share = Metric(
        "Share of the lanes' time and chunks in flight that storage calls took, as the lanes saw "
        "it.",
        SHARE,
        RANKS.together("mean", lambda trial: trial.busy_share),
        MEAN,
    )
    device_share = Metric(
        "Share of the lanes' time and chunks in flight that the block devices took for all "
        "processes of the hosts, and making data durable, as the kernel saw it; none where it "
        "keeps no times of a device.",
        SHARE,
        RANKS.together("sum of device time ÷ sum of lane time", lambda trial: trial.device_share),
        MEAN,
    )
    block_layer_read_ms = Metric(
        "Mean time of the block devices' read requests, all processes; a chunk may be several.",
        MILLISECONDS,
        RANKS.together("over all hosts' requests", lambda trial: trial.block_layer_ms("read")),
        MEAN,
        better="lower",
    )
    block_layer_write_ms = Metric(
        "Mean time of the block devices' write requests, all processes; a chunk may be several.",
        MILLISECONDS,
        RANKS.together("over all hosts' requests", lambda trial: trial.block_layer_ms("write")),
        MEAN,
        better="lower",
    )


class Harness(Measured):
    """Cost of the harness, and accuracy of its spans."""

    cpu_s_per_gib = Metric(
        "CPU seconds of all ranks per GiB moved to and from storage.",
        S_PER_GIB,
        RANKS.together("sum ÷ sum", _cpu_s_per_gib),
        MEAN,
        title="CPU s/GiB",
        better="lower",
        shown=Shown.REPORT,
    )
    throttled_share = Metric(
        "Largest share of the window in which a rank was denied a processor, by a quota of its "
        "control groups or by the hypervisor; none if the kernel has no count of it.",
        SHARE,
        RANKS.largest_known(lambda rank: rank.throttled_share),
        LARGEST,
        better="lower",
    )
    peak_rss_bytes = Metric(
        "Most memory that a rank had resident in the trial.",
        BYTES,
        RANKS.largest(lambda rank: rank.peak_rss_bytes),
        LARGEST,
        title="peak memory",
        better="lower",
        shown=Shown.REPORT,
    )
    late_completions = Metric(
        "Chunks and syncs that had ended before their lane looked: their spans are upper bounds.",
        COUNT,
        RANKS.total(lambda rank: sum(operation.late_completions for operation in rank.stored)),
        SUM,
        better="lower",
    )
    latency_overestimate_share = Metric(
        "Share of their sum by which the spans of chunks and syncs may be too long: their ends "
        "were seen late, or threads waited for Python's lock or a processor inside of them; none "
        "where the kernel does not tell.",
        SHARE,
        RANKS.together("sum of bounds ÷ sum of spans", _overestimate),
        MEAN,
        formula="(bounds of late completions + waits for Python's lock and a processor inside "
        "transfers and syncs x spans that such a wait makes longer) ÷ spans",
        title="overestimate",
        better="lower",
    )
    queue_unavailable_reason = Metric(
        "Reason why lanes had no queue with the kernel, and so one chunk in flight at most; empty "
        "where they had one.",
        TEXT,
        RANKS.first_text(lambda rank: rank.queue_unavailable_reason),
        LIST,
    )
    io_threads = Metric(
        "Largest number of threads that served the lanes of a rank.",
        COUNT,
        RANKS.largest(lambda rank: rank.io_threads),
        LIST,
    )
    io_queue = Metric(
        "Kind of the kernel queue that moved chunks: io_uring or linux_aio; empty where plain "
        "calls did.",
        TEXT,
        RANKS.first_text(lambda rank: rank.io_queue or ""),
        LIST,
    )
    io_queue_refusal = Metric(
        "Reason why a host provided no better kind of queue; empty where it did, or where none "
        "was wanted.",
        TEXT,
        RANKS.first_text(lambda rank: rank.io_queue_refusal),
        LIST,
    )
    huge_page_share = Metric(
        "Share of the buffers' memory in huge pages; none where the kernel does not say.",
        SHARE,
        RANKS.smallest_known(lambda rank: rank.huge_page_share),
        LIST,
        better="higher",
    )
