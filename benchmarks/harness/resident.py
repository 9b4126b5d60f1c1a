"""A rank's trial in a process of its own, and the memory that it had resident: prints JSON.

python -m benchmarks.harness.resident DIRECTORY USERS ENTRY_SCALE DURATION
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mlpstorage_bench.kvcache.parameters import GIB, Workload
from mlpstorage_bench.kvcache.runner import run_trial
from mlpstorage_bench.kvcache.site import Site
from mlpstorage_bench.measure.process import rss_bytes
from mlpstorage_bench.mpi.comm import SoloComm
from mlpstorage_bench.ranks import Peers
from mlpstorage_bench.storage.files import probe_direct_io

CAPACITY_GB = 12.0
"""Room for sixteen entries of the mean size, and for the largest."""


def main() -> None:
    """Run the trial and print what it took."""
    directory, users, entry_scale, duration = sys.argv[1:]
    workload = Workload(
        model="llama3.1-8b",
        num_users=int(users),
        duration=float(duration),
        entry_scale=float(entry_scale),
    )
    site = Site(
        rank=0,
        host="here",
        directory=Path(directory),
        io_mode="direct" if probe_direct_io(Path(directory)) else "buffered",
        storage_capacity_bytes=int(CAPACITY_GB * GIB),
        seed=42,
    )
    idle_bytes = rss_bytes()
    trial = run_trial(workload, site, Peers(SoloComm()))
    print(
        json.dumps(
            {
                "idle_rss_bytes": idle_bytes,
                "peak_rss_bytes": trial.peak_rss_bytes,
                "buffer_bytes": trial.in_flight * trial.chunk_bytes,
                "moved_gib": trial.reported.total / GIB,
            }
        )
    )


if __name__ == "__main__":
    main()
