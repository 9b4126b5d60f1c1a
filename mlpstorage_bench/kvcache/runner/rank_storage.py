"""The storage under a rank's directory for the workloads of a plan, and what fits on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.config.request_source import RankWorkload
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.sizing import size_of_rank, storage_capacity
from mlpstorage_bench.storage.buffers import SECTOR_BYTES
from mlpstorage_bench.storage.files import IoMode
from mlpstorage_bench.storage.kernel_queue import QueueChoice
from mlpstorage_bench.trial.storage_modes import StorageModes

_UNLIMITED_BYTES = 1 << 60
"""Capacity of a simulation without a given capacity."""


class RankStorage(StorageModes):
    """Modes, alignment and space of a rank's directory, for the workloads of a plan."""

    def __init__(self, site: RankSite, directory: Path, workloads: Sequence[Workload]) -> None:
        stored = [one for one in workloads if one.storage != "null"]
        super().__init__(
            site,
            directory,
            {one.io_mode for one in stored},
            {one.durability for one in stored if one.durability != "none"},
        )
        self._fitting: set[str] = set()
        """Workloads, as JSON, that fit storage and memory."""

    def io_mode(self, workload: Workload) -> IoMode:
        """Return the workload's mode; InvalidInputError if the filesystem does not have it."""
        return self.mode(workload.io_mode)

    def best_queue(self, workload: Workload) -> QueueChoice:
        """Return the queue of a workload that chooses none."""
        return self.queue(self.io_mode(workload))

    def alignment_bytes(self, workload: Workload) -> int:
        """Return the unit of sizes for the workload's mode; its chunks must be whole units."""
        if workload.storage == "null":
            return SECTOR_BYTES
        return self.alignment(workload.io_mode, workload.io_chunk_kib)

    def capacity_bytes(self, workload: Workload) -> int:
        """Return the bytes that the workload's storage tier may hold."""
        if workload.storage == "null" and workload.storage_capacity_gb is None:
            return _UNLIMITED_BYTES  # a simulation needs no space
        free_bytes = self.free_bytes()
        if free_bytes is None and workload.storage_capacity_gb is None:
            raise InvalidInputError(
                "storage_capacity_gb",
                None,
                "a size in GiB, as this filesystem does not report its own",
                hint="Add --mlps-set storage_capacity_gb=…",
            )
        return storage_capacity(workload, free_bytes or 0)

    def problems(self, part: RankWorkload) -> list[str]:
        """Return the reasons why a workload does not fit; called before the first write."""
        key = part.workload.model_dump_json()
        free_bytes = self.free_bytes()
        if free_bytes is None or part.workload.storage == "null" or key in self._fitting:
            return []
        alignment_bytes = self.alignment_bytes(part.workload)
        size = size_of_rank(part, free_bytes, alignment_bytes, until_full=True)
        problems = size.problems(
            free_bytes, self._site.memory_bytes, is_in_memory=self._site.is_in_memory
        )
        if not problems:
            self._fitting.add(key)
        return problems
