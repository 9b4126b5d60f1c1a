"""Sizes of datasets: which rule determines them, with scaled samples, and what does not fit."""

from __future__ import annotations

from mlpstorage_bench.benchmark_type.plan import HostCapacity
from mlpstorage_bench.training.config.profile_file import load_profile
from mlpstorage_bench.training.datasize import TrainingCaseSize, datasize
from mlpstorage_bench.units import GIB


def size(free_bytes: int | None = None, **settings: str) -> TrainingCaseSize:
    """Return the size of MLPerf's training on a host with 64 GiB of memory."""
    given = {"client_host_memory_in_gb": "64", **settings}
    profile = load_profile("mlperf", [*given.items()])
    (case,) = datasize(profile, "/mnt/cache", [1], HostCapacity(free_bytes, None, 1)).cases
    assert isinstance(case, TrainingCaseSize)
    return case


def test_scale_makes_samples_smaller_and_not_more() -> None:
    whole, scaled = size(), size(scale="0.01")
    assert whole.lines[-1] == (
        "  3500 samples for 500 steps; 2343 for 5 x 64.00 GiB of memory of all hosts"
    )
    assert scaled.lines[-1] == (
        "  3500 samples for 500 steps; 2343 of their whole size for 5 x 64.00 GiB of memory of all "
        "hosts"
    )
    assert scaled.num_files_train == whole.num_files_train
    assert 90 < whole.total_disk_bytes / scaled.total_disk_bytes < 110


def test_data_that_does_not_fit_has_what_to_do() -> None:
    (problem,) = size(GIB).problems
    assert problem.endswith(
        "and 1.00 GiB are free: name another --mlps-cache-dir with more space; outside of mode "
        "closed, num_files_train, steps or scale may be lower"
    )
