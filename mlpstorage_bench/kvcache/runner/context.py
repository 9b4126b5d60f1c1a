"""The surroundings of a rank's trial, and the cache that it runs on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.kvcache.cache.tier import Tier
from mlpstorage_bench.kvcache.cache.tiered import TieredCache
from mlpstorage_bench.kvcache.config.block_layout import block_bytes
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.measure.device import BlockDevice
from mlpstorage_bench.measure.operation_statistics import STORAGE_TIER
from mlpstorage_bench.storage.block_files import BlockFiles
from mlpstorage_bench.storage.buffers import SECTOR_BYTES
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.files import FileIo, IoMode
from mlpstorage_bench.storage.kernel_queue import QueueChoice
from mlpstorage_bench.storage.memory import MemoryStore
from mlpstorage_bench.storage.null import NullStore
from mlpstorage_bench.storage.slab import Slab
from mlpstorage_bench.storage.store import Store
from mlpstorage_bench.trial.counter_probe import NO_COUNTERS, UsableCounters
from mlpstorage_bench.units import GIB, KIB


@dataclass(frozen=True)
class TrialContext:
    """Everything about a rank's trial that is not the workload."""

    rank: int
    host: str
    directory: Path
    """Directory of this rank's cache files."""
    io_mode: IoMode
    storage_capacity_bytes: int
    seed: int
    """The rank's seed: the profile's + rank; the profile's if ranks share one set of users."""
    first_user: int = 0
    alignment_bytes: int = SECTOR_BYTES
    """Unit of the sizes of entries and blocks: direct I/O may need more than a sector."""
    best_queue: QueueChoice = "auto"
    """Queue of workloads that choose none."""
    uses_workers: bool = False
    """Whether io_uring leaves every transfer to a worker."""
    io_threads: int = 1
    """Threads that serve the lanes."""
    counters: UsableCounters = NO_COUNTERS
    """The kernel's counters that cover the traffic to the directory's storage."""


MakeStore = Callable[[Workload, TrialContext], Store]
"""Makes the store of the storage tier."""


def file_io(workload: Workload, context: TrialContext) -> FileIo:
    """Return the modes of a trial's files."""
    return FileIo(
        context.io_mode,
        workload.durability,
        reserves=context.io_mode == "direct",  # a write that extends a file holds up others
        writes_back_chunks=BlockDevice.under(context.directory) is not None,
    )


def files_in_layout(workload: Workload, context: TrialContext) -> Store:
    """Return a store on the measured storage, in the workload's layout."""
    io = file_io(workload, context)
    if workload.layout == "entry":
        return EntryFiles(context.directory, io)
    unit_bytes = block_bytes(workload, context.alignment_bytes)
    if workload.layout == "block":
        return BlockFiles(context.directory, io, unit_bytes)
    return Slab(context.directory, io, unit_bytes, context.storage_capacity_bytes)


def build_cache(workload: Workload, context: TrialContext, make_store: MakeStore) -> TieredCache:
    """Return an empty cache: the memory tiers that the workload has, and storage."""
    memory = {"gpu": workload.gpu_mem_gb, "cpu": workload.cpu_mem_gb}
    tiers = [
        Tier(
            name,
            NullStore() if workload.storage == "null" else MemoryStore(workload.io_chunk_kib * KIB),
            round(capacity_gb * GIB),
            workload.eviction,
        )
        for name, capacity_gb in memory.items()
        if capacity_gb > 0
    ]
    store = NullStore() if workload.storage == "null" else make_store(workload, context)
    tiers.append(Tier(STORAGE_TIER, store, context.storage_capacity_bytes, workload.eviction))
    limit = None if workload.write_limit_gb is None else round(workload.write_limit_gb * GIB)
    return TieredCache(
        tiers, limit, promotes=workload.promotion, alignment_bytes=context.alignment_bytes
    )
