"""Size of the dataset that a profile needs, for `--mlps-datasize` and mode whatif."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from mlpstorage_bench.benchmark_type.plan import HostCapacity
from mlpstorage_bench.benchmark_type.sizes import CaseSize, SizeReport
from mlpstorage_bench.training.config.profile_file import TrainingProfile
from mlpstorage_bench.training.config.workload import TrainingWorkload
from mlpstorage_bench.training.workload.minimum import (
    LEAST_STEPS,
    MORE_SPACE,
    TIMES_MEMORY,
    minimum,
)
from mlpstorage_bench.units import GIB, counted, gib


@dataclass(frozen=True)
class TrainingCaseSize(CaseSize):
    """Dataset of a training."""

    model: str
    accelerator: str
    ranks: int
    """Accelerators, one of each rank."""
    num_files_train: int
    num_samples_per_file: int
    total_disk_bytes: int
    steps_per_epoch: int
    samples_by_steps: int | None
    """Samples that the steps need which the rules demand; None if the size is set."""
    samples_by_memory: int | None
    """Samples of so many times the memory of all hosts; None if the size is set."""
    scale: float
    """Factor for the size of samples; the rules' samples are not scaled."""
    memory_bytes: int
    """Memory of all hosts."""

    @property
    def lines(self) -> Sequence[str]:
        """Lines for people: what the dataset is, and which rule determines it."""
        dataset = (
            f"  {self.num_files_train} files of {counted(self.num_samples_per_file, 'sample')}, "
            f"{gib(self.total_disk_bytes)} GiB on storage, {self.steps_per_epoch} steps an epoch"
        )
        lines = [
            f"training {self.case}: {self.model} on {self.ranks} x {self.accelerator}",
            dataset,
        ]
        if self.samples_by_steps is not None and self.samples_by_memory is not None:
            lines.append(
                f"  {self.samples_by_steps} samples for {LEAST_STEPS} steps; "
                f"{self.samples_by_memory}{self._unscaled} for {TIMES_MEMORY} x "
                f"{gib(self.memory_bytes)} GiB of memory of all hosts"
            )
        return lines

    @property
    def _unscaled(self) -> str:
        return "" if self.scale == 1 else " of their whole size"

    @property
    def storage_bytes(self) -> int:
        """Bytes of the dataset, which all hosts share."""
        return self.total_disk_bytes


def host_memory_bytes(workload: TrainingWorkload) -> int:
    """Return the memory of a host: as it is set, or this one's."""
    given = workload.client_host_memory_in_gb
    return psutil.virtual_memory().total if given is None else round(given * GIB)


def files_of(workload: TrainingWorkload, ranks: int, memory_bytes: int) -> int:
    """Return the number of files of a training, for hosts with so much memory together."""
    files = workload.num_files_train or workload.files_for_steps(ranks)
    if files is not None:
        return files
    return minimum(workload.training_model, workload.batch, ranks, memory_bytes).files


def datasize(
    profile: TrainingProfile,
    cache_dir: str,
    ranks_by_host: Sequence[int],
    capacity: HostCapacity,
) -> SizeReport:
    """Return the size of every training's dataset; hosts are assumed to be like this one."""
    cases = [
        _size_of_case(name, workload, profile.seed, ranks_by_host, capacity)
        for name, workload in profile.workloads.items()
    ]
    free = capacity.storage
    return SizeReport(
        profile=profile.name,
        seed=profile.seed,
        cache_dir=cache_dir,
        ranks_by_host=ranks_by_host,
        free_storage_bytes_per_rank=None if free is None else free // capacity.sharers,
        free_memory_bytes_per_rank=None,
        limits=capacity.limits,
        cases=cases,
    )


def _size_of_case(
    name: str,
    workload: TrainingWorkload,
    seed: int,
    ranks_by_host: Sequence[int],
    capacity: HostCapacity,
) -> TrainingCaseSize:
    ranks = sum(ranks_by_host)
    memory_bytes = host_memory_bytes(workload) * len(ranks_by_host)
    files = files_of(workload, ranks, memory_bytes)
    by_rules = workload.num_files_train is None and workload.steps is None
    least = minimum(workload.training_model, workload.batch, ranks, memory_bytes)
    dataset = workload.dataset(files, seed)
    problems = [capacity.storage_problem] if capacity.storage_problem else []
    if capacity.storage is not None and dataset.total_bytes > capacity.storage:
        problems.append(
            f"the dataset takes {gib(dataset.total_bytes)} GiB, and "
            f"{gib(capacity.storage)} GiB are free: {MORE_SPACE}"
        )
    return TrainingCaseSize(
        case=name,
        problems=problems,
        model=workload.model,
        accelerator=workload.accelerator,
        ranks=ranks,
        num_files_train=files,
        num_samples_per_file=workload.samples_per_file,
        total_disk_bytes=dataset.total_bytes,
        steps_per_epoch=workload.epochs_of(dataset, ranks).steps,
        samples_by_steps=least.samples_by_steps if by_rules else None,
        samples_by_memory=least.samples_by_memory if by_rules else None,
        scale=workload.scale,
        memory_bytes=memory_bytes,
    )
