"""One load on all ranks, over null, tmpfs or the disk, and the harness's ceiling under that load.

python -m benchmarks.harness.scaled_ranks STORE DIRECTORY LOAD, alone or under mpirun; rank 0 prints
JSON. STORE is null, tmpfs or disk, LOAD is JSON: lanes, chunks_in_flight, chunk_kib, samples.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.trial_result import TrialResult
from mlpstorage_bench.kvcache.runner.calibration import calibrate, run_over
from mlpstorage_bench.kvcache.runner.context import TrialContext
from mlpstorage_bench.kvcache.runner.engine import Engine, pool_ranks
from mlpstorage_bench.launch.environment import detect_launcher
from mlpstorage_bench.mpi.comm import Comm, SoloComm
from mlpstorage_bench.mpi.connection import connect
from mlpstorage_bench.storage.null import NullStore

SEED = 42
WINDOW_S = 0.7
RAMP_S = 0.2
CAPACITY_GIB = 8.0
"""Capacity of all ranks together, on tmpfs and on the disk."""
MOST_CAPACITY_GIB = 4.0
"""Capacity of one rank: enough for the entries of 64 lanes."""
ENTRY_SCALE = 0.05
"""Entries of 33 MiB in the mean, and of 160 MiB at most, so that a lane has chunks for its queue.
A larger entry would be in flight for as long as a window lasts."""


class ScaledLoad(NamedTuple):
    """A load of each rank."""

    lanes: int
    chunks_in_flight: int
    """Per lane."""
    chunk_kib: int
    samples: int
    """Trials, of which each figure is the median."""


def main() -> None:
    """Run the trials, and print the medians of their figures on rank 0."""
    store, directory, text = sys.argv[1:]
    load = ScaledLoad(**json.loads(text))
    launcher = detect_launcher(os.environ)
    ranks: Comm = SoloComm() if launcher is None else connect(launcher)
    workload = workload_of(load, ranks.size)
    place = Path(directory)
    if store == "null":
        taken = _over_null(workload, ranks, place, load.samples)
    else:
        taken = _over_files(workload, ranks, place, load.samples, is_in_memory=store == "tmpfs")
    if ranks.rank == 0:
        print(json.dumps(figures_of([one.metrics() for one in taken])))


def workload_of(load: ScaledLoad, ranks: int) -> Workload:
    """Return the workload of each rank: users that do not think, one for each lane and one more."""
    return Workload(
        model="llama3.1-8b",
        entry_scale=ENTRY_SCALE,
        num_users=load.lanes + 1,
        think_time_scale=0.0,
        max_concurrent_allocs=load.lanes,
        chunks_in_flight=load.chunks_in_flight,
        io_chunk_kib=load.chunk_kib,
        io_threads=1,
        storage_capacity_gb=min(MOST_CAPACITY_GIB, CAPACITY_GIB / ranks),
        duration=WINDOW_S,
        warmup=RAMP_S,
        calibration=WINDOW_S,
    )


def _over_null(workload: Workload, ranks: Comm, directory: Path, samples: int) -> list[TrialResult]:
    """Run trials over a store that moves nothing; nothing is stored in the directory."""
    context = TrialContext(ranks.rank, "here", directory, "direct", 0, seed=SEED + ranks.rank)
    ceiling = calibrate(workload, context, ranks)
    taken = []
    for number in range(1, samples + 1):
        mine = run_over(NullStore(is_queued=True), workload, context, ranks)
        taken.append(pool_ranks(ranks, number, replace(mine, ceiling=ceiling))[0])
    return taken


def _over_files(
    workload: Workload, ranks: Comm, directory: Path, samples: int, *, is_in_memory: bool
) -> list[TrialResult]:
    """Run trials as a session does, in the directory."""
    site = RankSite(
        socket.gethostname(),
        directory,
        sharers=ranks.size,
        is_in_memory=is_in_memory,
        is_first_on_host=False,  # the states of the page cache are of no use here
    )
    with Engine(ranks, site, {"scaled": workload}, SEED) as engine:
        return [
            engine.run_trial(workload, SEED, number, {}).result for number in range(1, samples + 1)
        ]


def figures_of(trials: list[dict[str, object]]) -> dict[str, float]:
    """Return the medians of what trials of all ranks together measured.

    AssertionError if one of them failed to measure a figure.
    """
    names = ("gib_s", "cpu_s_per_gib", "ceiling_gib_s", "ceiling_operations_per_s")
    taken = [
        {**one, "gib_s": _number(one, "read_gib_s") + _number(one, "write_gib_s")} for one in trials
    ]
    return {name: statistics.median(_number(one, name) for one in taken) for name in names}


def _number(figures: dict[str, object], name: str) -> float:
    value = figures[name]
    assert isinstance(value, int | float), f"{name} was not measured: {value}"
    return value


if __name__ == "__main__":
    main()
