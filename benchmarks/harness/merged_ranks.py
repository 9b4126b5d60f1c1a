"""Pooling of synthetic results of many ranks in one process: prints its times and memory as JSON.

python -m benchmarks.harness.merged_ranks RANKS SAMPLES
"""

from __future__ import annotations

import json
import pickle
import sys
import time
from dataclasses import replace

import numpy as np

from mlpstorage_bench.kvcache.cache.tier import TierAccount
from mlpstorage_bench.kvcache.config.request_counters import RequestCounters
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.pooling import pool_trial
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.kvcache.results.reference_rank import rank_result
from mlpstorage_bench.kvcache.results.samples import PooledHistograms
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.histogram import Histogram
from mlpstorage_bench.measure.operation_statistics import (
    KINDS,
    SIZE_CLASSES,
    OperationKey,
    OperationStatistics,
)
from mlpstorage_bench.measure.process import peak_rss_bytes, rss_bytes
from mlpstorage_bench.units import MIB

DISTINCT_RANKS = 8
"""Number of different results; all other ranks repeat them."""


def synthetic_trial(samples: int, seed: int) -> RankTrial:
    """Return a rank's trial of `samples` requests, with latencies around 10 ms in each span."""
    random = np.random.default_rng(seed)

    def latencies() -> Histogram:
        histogram = Histogram()
        for value in random.lognormal(np.log(1e7), 1.0, samples).astype(int).tolist():
            histogram.record(value)
        return histogram

    def operation() -> OperationStatistics:
        size = samples * MIB
        return OperationStatistics(
            *(size, size, 0, samples, samples, size, size),
            wait=latencies(),
            chunk=latencies(),
            verification=latencies(),
            device=latencies(),
            host=latencies(),
        )

    classes = [name for name, _ in SIZE_CLASSES[:3]]
    return RankTrial(
        rank=0,
        host="h0",
        opened_at=0.0,
        window_s=60.0,
        drain_s=0.1,
        closed_by="duration",
        io_mode="direct",
        in_flight=16,
        chunk_bytes=MIB,
        requests=RequestCounters(
            *(samples, 100 * samples),
            latency=latencies(),
            queue_wait=latencies(),
            cache_io=latencies(),
            generation=latencies(),
        ),
        arrived=samples,
        unserved=0,
        lateness=latencies(),
        operations={
            OperationKey("storage", kind, name): operation() for kind in KINDS for name in classes
        },
        tiers={"storage": TierAccount(1, 0, 0, 0, 0)},
        process_traffic=Traffic(3 * samples * MIB, 3 * samples * MIB),
        device_traffic=None,
        cpu_s=1.0,
        peak_rss_bytes=MIB,
        corruption="",
    )


def main() -> None:
    """Pool the ranks and print times and memory."""
    ranks, samples = int(sys.argv[1]), int(sys.argv[2])
    workload = Workload(model="llama3.1-8b", num_users=4, duration=60.0)
    trials = [synthetic_trial(samples, seed) for seed in range(DISTINCT_RANKS)]
    sent = [pickle.dumps(PooledHistograms.of([trial])) for trial in trials]
    idle_bytes = rss_bytes()

    started = time.perf_counter()
    total = PooledHistograms()
    for rank in range(ranks):  # each rank's result is sent and added once, at any place in the tree
        total.merge(pickle.loads(sent[rank % DISTINCT_RANKS]))  # noqa: S301 - pickled above
    all_s = time.perf_counter() - started

    own = PooledHistograms.of([trials[0]])
    started = time.perf_counter()
    for _ in range((ranks - 1).bit_length()):
        own.merge(pickle.loads(sent[0]))  # noqa: S301 - as above
    tree_s = time.perf_counter() - started

    bare = [pickle.dumps(trial.totals()) for trial in trials]
    started = time.perf_counter()
    totals = [
        replace(pickle.loads(bare[n % DISTINCT_RANKS]), rank=n, host=f"h{n}")  # noqa: S301 - as above
        for n in range(ranks)
    ]
    totals_s = time.perf_counter() - started

    started = time.perf_counter()
    pooled = pool_trial(1, totals, total)
    pool_s = time.perf_counter() - started
    pooling_bytes = peak_rss_bytes()

    rank_results = [pickle.dumps(rank_result(workload, 1, trial)) for trial in trials]
    started = time.perf_counter()
    results = [pickle.loads(rank_results[n % DISTINCT_RANKS]) for n in range(ranks)]  # noqa: S301 - as above
    results_s = time.perf_counter() - started
    print(
        json.dumps(
            {
                "ranks": ranks,
                "samples": samples,
                "requests": pooled.requests,
                "sent_kib": len(sent[0]) / 1024,
                "all_s": all_s,
                "tree_s": tree_s,
                "totals_s": totals_s,
                "pool_s": pool_s,
                "pooling_rss_mib": (pooling_bytes - idle_bytes) / MIB,
                "rank_result_kib": len(rank_results[0]) / 1024,
                "rank_results_s": results_s,
                "rank_results_rss_mib": (peak_rss_bytes() - pooling_bytes) / MIB,
                "rank_results": len(results),
            }
        )
    )


if __name__ == "__main__":
    main()
