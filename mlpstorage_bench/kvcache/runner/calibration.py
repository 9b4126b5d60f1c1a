"""Calibration: the harness's own limit on this host, with the same requests but without storage."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
"""More threads are taken if they raise the bandwidth by this factor..."""
_KEEPS = 0.95
"""... and keep this share of the chunks per second: a smaller loss is within the noise."""
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
    ranks together reach more, in repeated measurements.
    """
    if workload.io_threads != "auto":
        given = replace(context, io_threads=workload.io_threads)
        return Calibration(calibrate(workload, given, ranks), workload.io_threads)
    best = Calibration(calibrate(workload, context, ranks), 1)
    if not _takes_time(workload):
        return best
    most = _of_all(ranks, min(int(processors), workload.lanes, _MOST_THREADS), min)
    while 2 * best.io_threads <= most:  # on every rank alike, also on one without a ceiling
        fewer = best.io_threads
        best = _doubled(workload, context, ranks, best)
        if best.io_threads == fewer:
            break
    return best


def _doubled(
    workload: Workload, context: TrialContext, ranks: TrialRanks, best: Calibration
) -> Calibration:
    """Return the calibration with twice as many threads, if they are better.

    Most gain no bandwidth, which one measurement shows. A gain may be another program's work
    during a measurement: it has to show against each of several, in turns with fewer and more
    threads. The highest is the ceiling, as such work only lowers them.
    """
    fewer = replace(context, io_threads=best.io_threads)
    more = replace(context, io_threads=2 * best.io_threads)
    known = best.ceiling
    of_fewer = [None if known is None else known.gib_s]
    of_more: list[float | None] = []
    gains = True
    for given, rates in ((more, of_more), (fewer, of_fewer), (more, of_more)):
        rates.append(bandwidth_gib_s(workload, given, ranks))
        gains = _rises(ranks, of_fewer, of_more, _GAIN)
        if not gains:
            break
    if gains:
        operations = operations_per_s(workload, more, ranks)
        kept = None if known is None else known.operations_per_s
        if _rises(ranks, [kept], [operations], _KEEPS):
            return Calibration(_ceiling(operations, _highest(of_more)), more.io_threads)
    if known is None:
        return best
    return Calibration(_ceiling(known.operations_per_s, _highest(of_fewer)), best.io_threads)


def _highest(rates: Sequence[float | None]) -> float | None:
    """Return the highest of the known rates; None if none is."""
    return max((rate for rate in rates if rate is not None), default=None)


class _Sums(NamedTuple):
    """Sums over ranks of a rate with fewer and with more threads."""

    fewer: float
    more: float

    def add(self, other: _Sums) -> _Sums:
        return _Sums(self.fewer + other.fewer, self.more + other.more)


def _rises(
    ranks: Ranks, fewer: Sequence[float | None], more: Sequence[float | None], factor: float
) -> bool:
    """Return whether each rate with more threads is higher by the factor than each with fewer.

    The rates are those of all ranks together, and the answer is the same on each. Nothing is higher
    than a rate that is not known.
    """
    highest = max(math.inf if rate is None else rate for rate in fewer)
    lowest = min(0.0 if rate is None else rate for rate in more)
    own = _Sums(math.inf if None in more else highest, lowest)
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
