"""Calibration: the harness's own limit on this host, with the same requests but without storage."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeVar, cast

from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.kvcache.runner.context import TrialContext
from mlpstorage_bench.kvcache.runner.trial import run_trial
from mlpstorage_bench.measure.ceiling import Ceiling
from mlpstorage_bench.mpi.ranks import Ranks, TrialRanks
from mlpstorage_bench.storage.null import NullStore, RingStore
from mlpstorage_bench.storage.queues import moves_buffered

T = TypeVar("T")
_UNLIMITED_BYTES = 1 << 60
_WARMUP_SHARE = 0.2
"""Warm-up as a share of the window: memory is touched for the first time before it opens."""


_GAIN = 1.2
"""More threads are taken if they raise the bandwidth by this factor, and lower no other figure."""
_MOST_THREADS = 4


class Calibration(NamedTuple):
    """The harness's limit, and the threads with which it was measured."""

    ceiling: Ceiling | None
    """None if it was not measured."""
    io_threads: int


def choose_threads(
    workload: Workload, context: TrialContext, ranks: TrialRanks, processors: float
) -> Calibration:
    """Measure the ceiling with the workload's number of threads, or with the best one.

    Every rank has the same number: it is doubled as long as each has as many processors, and all
    ranks together reach more.
    """
    if workload.io_threads != "auto":
        given = replace(context, io_threads=workload.io_threads)
        return Calibration(calibrate(workload, given, ranks), workload.io_threads)
    best = Calibration(calibrate(workload, context, ranks), 1)
    if not _takes_time(workload):
        return best
    most = _of_all(ranks, min(int(processors), workload.lanes, _MOST_THREADS), min)
    while 2 * best.io_threads <= most:  # on every rank alike, also on one without a ceiling
        more = replace(context, io_threads=2 * best.io_threads)
        fewer = best.ceiling or _UNKNOWN
        gib_s = bandwidth_gib_s(workload, more, ranks)
        if not _rises(ranks, fewer.gib_s, gib_s, _GAIN):
            break  # most end here, without another measurement
        operations = operations_per_s(workload, more, ranks)
        if not _rises(ranks, fewer.operations_per_s, operations):
            break
        best = Calibration(_ceiling(operations, gib_s), more.io_threads)
    return best


_UNKNOWN = Ceiling(math.inf, math.inf)
"""Ceiling that was not measured: nothing is better than it."""


class _Sums(NamedTuple):
    """Sums over ranks of a rate with fewer and with more threads."""

    fewer: float
    more: float

    def add(self, other: _Sums) -> _Sums:
        return _Sums(self.fewer + other.fewer, self.more + other.more)


def _rises(ranks: Ranks, fewer: float, more: float | None, factor: float = 1.0) -> bool:
    """Return whether the rate of all ranks together rises by the factor, the same on each."""
    own = _Sums(math.inf if more is None else fewer, more or 0.0)
    total = _of_all(ranks, own, _Sums.add)
    return total.more >= factor * total.fewer


def _takes_time(workload: Workload) -> bool:
    """Return whether the workload asks for a calibration, the same on every rank."""
    return workload.calibration > 0 and workload.storage != "null"


def _of_all(ranks: Ranks, value: T, combine: Callable[[T, T], T]) -> T:
    """Return the combination of all ranks' values on every rank."""
    return ranks.bcast(cast("T", ranks.merge(value, combine)))


def calibrate(workload: Workload, context: TrialContext, ranks: TrialRanks) -> Ceiling | None:
    """Measure this rank's ceiling while all ranks measure theirs; None without time for it."""
    if not _takes_time(workload):
        return None
    operations = operations_per_s(workload, context, ranks)
    return _ceiling(operations, bandwidth_gib_s(workload, context, ranks))


def _ceiling(operations: float | None, gib_s: float | None) -> Ceiling | None:
    """Return the ceiling; None if one of its rates is not known."""
    return None if operations is None or gib_s is None else Ceiling(operations, gib_s)


def operations_per_s(workload: Workload, context: TrialContext, ranks: TrialRanks) -> float | None:
    """Measure this rank's chunks per second over a store that moves nothing."""
    trial = run_over(NullStore(is_queued=_is_queued(workload, context)), workload, context, ranks)
    return None if trial.rate is None else trial.rate.operations_per_s


def bandwidth_gib_s(workload: Workload, context: TrialContext, ranks: TrialRanks) -> float | None:
    """Measure this rank's GiB/s over memory."""
    trial = run_over(RingStore(is_queued=_is_queued(workload, context)), workload, context, ranks)
    return None if trial.rate is None else trial.rate.gib_s


def _is_queued(workload: Workload, context: TrialContext) -> bool:
    """Return whether a queue moves the workload's chunks on storage."""
    kind = context.best_queue if workload.io_queue == "auto" else workload.io_queue
    return context.io_mode == "direct" or moves_buffered(kind)


def run_over(
    store: NullStore | RingStore, workload: Workload, context: TrialContext, ranks: TrialRanks
) -> RankTrial:
    """Run the workload's trial over a store that keeps no data, without think times."""
    saturating = workload.model_copy(
        update={
            "duration": workload.calibration,
            "warmup": workload.calibration * _WARMUP_SHARE,
            "think_time_scale": 0.0,
            "generation_mode": "none",
            "gpu_mem_gb": 0.0,
            "cpu_mem_gb": 0.0,
            "write_limit_gb": None,
            "read_back_gb": 0.0,
            "warmup_until": "time",
            "precondition": "none",
            "requests": None,
            "stop_after_gb": None,
            "trace_in": None,
            "arrivals": "closed",
            "rate": None,
            "rate_end": None,
        }
    )
    unlimited = replace(context, storage_capacity_bytes=_UNLIMITED_BYTES)
    return run_trial(saturating, unlimited, ranks, lambda *_: store, open_queue=store.open_queue)
