"""A benchmark of your own: all ranks write and synchronise a file each, at the same time.

    mpirun -n 4 pytest examples/test_own_mpi_benchmark.py

`benchmark` is pytest-benchmark's fixture; every rank runs the same number of rounds.
"""

import os
from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

from mlpstorage_bench import ClusterInformation, Comm, Run

SIZE = 4 * 2**20


def test_checkpoint_write(
    benchmark: BenchmarkFixture,
    mpi_comm: Comm,
    cluster_info: ClusterInformation,
    mlps_run: Run,
    tmp_path: Path,
) -> None:
    data = os.urandom(SIZE)
    path = tmp_path / f"shard-{mpi_comm.rank}"

    def write() -> None:
        mpi_comm.barrier()
        with path.open("wb") as file:
            file.write(data)
            os.fsync(file.fileno())
        mpi_comm.barrier()

    benchmark(write)
    written = mpi_comm.allreduce(float(path.stat().st_size))
    assert written == SIZE * mpi_comm.size
    mlps_run.record("checkpoint_bytes", written)
    mlps_run.record("checkpoint_hosts", cluster_info.num_hosts)
