"""Trial over a store that keeps nothing, on all ranks, and the time to pool its results.

mpirun -n RANKS python -m benchmarks.harness.pooled_ranks DURATION; rank 0 prints JSON.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import tempfile
import time
from pathlib import Path

from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.reference_rank import rank_result
from mlpstorage_bench.kvcache.results.samples import PooledHistograms
from mlpstorage_bench.kvcache.runner.context import TrialContext
from mlpstorage_bench.kvcache.runner.engine import pool_ranks
from mlpstorage_bench.kvcache.runner.trial import run_trial
from mlpstorage_bench.launch.environment import detect_launcher
from mlpstorage_bench.mpi.connection import connect
from mlpstorage_bench.storage.null import NullStore
from mlpstorage_bench.units import NS_PER_S


def main() -> None:
    """Run the trial, pool it as a session does, and print the figures of rank 0."""
    launcher = detect_launcher(os.environ)
    assert launcher is not None, "start this module with mpirun"
    ranks = connect(launcher)
    workload = Workload(
        model="tiny-1b",
        num_users=4,
        duration=float(sys.argv[1]),
        entry_scale=0.02,
        think_time_scale=0.0,
        max_concurrent_allocs=2,
        io_chunk_kib=64,
    )
    with tempfile.TemporaryDirectory() as folder:
        context = TrialContext(
            ranks.rank, "here", Path(folder), "buffered", 1 << 40, seed=42 + ranks.rank
        )
        mine = run_trial(workload, context, ranks, lambda *_: NullStore())
    trial_ended_ns = time.perf_counter_ns()
    pooled, samples = pool_ranks(ranks, 1, mine)
    pooled_ns = time.perf_counter_ns()
    results = ranks.gather(rank_result(workload, 1, mine))
    gathered_ns = time.perf_counter_ns()
    if results is None:
        return
    assert mine.edges is not None
    assert samples is not None
    closed_ns = mine.edges.closed_ns  # in rank 0's time, and only rank 0 gets here
    spans = [getattr(o, name) for o in samples.operations.values() for name in ("chunk", "host")]
    print(
        json.dumps(
            {
                "ranks": ranks.size,
                "window_s": pooled.window_s,
                "samples": sum(span.count for span in spans),
                "trial_ended_s": (trial_ended_ns - closed_ns) / NS_PER_S,
                "result_s": (pooled_ns - closed_ns) / NS_PER_S,
                "rank_results_s": (gathered_ns - closed_ns) / NS_PER_S,
                "sent_kib": len(pickle.dumps(PooledHistograms.of([mine]))) / 1024,
                "rank_result_kib": len(pickle.dumps(results[0])) / 1024,
                "window_open_spread_ms": pooled.window_open_spread_ms,
                "window_close_spread_ms": pooled.window_close_spread_ms,
                "clock_uncertainty_ms": pooled.clock_uncertainty_ms,
            }
        )
    )


if __name__ == "__main__":
    main()
