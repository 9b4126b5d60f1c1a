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
        threads = 2 * best.io_threads
        more = calibrate(workload, replace(context, io_threads=threads), ranks)
        if not _of_all(ranks, _Sums.of(best.ceiling, more), _Sums.add).are_better:
            break
        best = Calibration(more, threads)
    return best


class _Sums(NamedTuple):
    """Sums over ranks of operations per second and GiB/s, with fewer and with more threads."""

    operations: float
    gib_s: float
    operations_of_more: float
    gib_s_of_more: float

    @classmethod
    def of(cls, fewer: Ceiling | None, more: Ceiling | None) -> _Sums:
        if fewer is None or more is None:  # nothing is better than what is not known
            return cls(math.inf, math.inf, 0.0, 0.0)
        return cls(fewer.operations_per_s, fewer.gib_s, more.operations_per_s, more.gib_s)

    def add(self, other: _Sums) -> _Sums:
        return _Sums(*(sum(pair) for pair in zip(self, other, strict=True)))

    @property
    def are_better(self) -> bool:
        gains = self.gib_s_of_more >= _GAIN * self.gib_s
        return gains and self.operations_of_more >= self.operations


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
    kind = context.best_queue if workload.io_queue == "auto" else workload.io_queue
    is_queued = context.io_mode == "direct" or moves_buffered(kind)
    operations = run_over(NullStore(is_queued=is_queued), workload, context, ranks)
    bandwidth = run_over(RingStore(is_queued=is_queued), workload, context, ranks)
    if operations.rate is None or bandwidth.rate is None:
        return None
    return Ceiling(operations.rate.operations_per_s, bandwidth.rate.gib_s)


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
