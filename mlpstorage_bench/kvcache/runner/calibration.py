"""Calibration: the harness's own limit on this host, with the same requests but without storage."""

from __future__ import annotations

from dataclasses import replace

from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.kvcache.runner.context import TrialContext
from mlpstorage_bench.kvcache.runner.trial import run_trial
from mlpstorage_bench.measure.ceiling import Ceiling
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.storage.null import NullStore, RingStore

_UNLIMITED_BYTES = 1 << 60
_WARMUP_SHARE = 0.2
"""Warm-up as a share of the window: memory is touched for the first time before it opens."""


def calibrate(workload: Workload, context: TrialContext, ranks: TrialRanks) -> Ceiling | None:
    """Measure this rank's ceiling while all ranks measure theirs; None without time for it."""
    if workload.calibration == 0 or workload.storage == "null":
        return None
    is_direct = context.io_mode == "direct"
    operations = run_over(NullStore(is_direct=is_direct), workload, context, ranks)
    bandwidth = run_over(RingStore(is_direct=is_direct), workload, context, ranks)
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
