"""Resident memory of one rank's trial in a process of its own: prints JSON.

python -m benchmarks.harness.resident DIRECTORY WORKLOAD, where WORKLOAD is JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.results.rank_trial import RankTrial
from mlpstorage_bench.kvcache.runner.context import TrialContext
from mlpstorage_bench.kvcache.runner.trial import run_trial
from mlpstorage_bench.measure.process import rss_bytes
from mlpstorage_bench.mpi.comm import SoloComm
from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.storage.lane import buffers_for
from mlpstorage_bench.units import GIB

CAPACITY_GB = 12.0
"""Capacity for sixteen entries of the mean size, and for the largest entry."""


def main() -> None:
    """Run the trial and print the memory that it used."""
    directory = Path(sys.argv[1])
    workload = Workload.model_validate({"model": "llama3.1-8b", **json.loads(sys.argv[2])})
    context = TrialContext(
        rank=0,
        host="here",
        directory=directory,
        io_mode="direct" if probe_direct_io(directory).is_available else "buffered",
        storage_capacity_bytes=int(CAPACITY_GB * GIB),
        seed=42,
    )
    idle_bytes = rss_bytes()
    trial = run_trial(workload, context, SoloComm())
    buffers = buffers_for(trial.lanes, workload.chunks_in_flight)
    print(
        json.dumps(
            {
                "idle_rss_bytes": idle_bytes,
                "peak_rss_bytes": trial.peak_rss_bytes,
                "in_flight_bytes": trial.doubtful.write_bytes,
                "buffer_bytes": buffers * trial.chunk_bytes,
                "moved_gib": trial.reported.total / GIB,
                "largest_entries": _largest_entries(trial),
            }
        )
    )


def _largest_entries(trial: RankTrial) -> dict[str, int]:
    """Return the number of complete transfers in the largest size class, and their bytes."""
    of_class = [
        operation
        for key, operation in trial.operations.items()
        if key.size_class == "1 GiB and more"
    ]
    return {
        "count": sum(operation.host.count for operation in of_class),
        "moved_bytes": sum(operation.moved_bytes for operation in of_class),
    }


if __name__ == "__main__":
    main()
