"""Report of a run's sizes, if all hosts are like this one."""

from __future__ import annotations

from mlpstorage_bench.benchmark_type.plan import HostCapacity, Plan
from mlpstorage_bench.benchmark_type.sizes import SizeReport
from mlpstorage_bench.cluster.information import gather_cluster_information
from mlpstorage_bench.mpi.comm import SoloComm
from mlpstorage_bench.options.settings import Settings
from mlpstorage_bench.process.limits import read_limits
from mlpstorage_bench.storage.directory import missing_parent


def size_report(settings: Settings, plan: Plan) -> SizeReport:
    """Return the bytes that the plan needs by rank, host and tier, without touching storage.

    The free space of a cache directory whose parent does not exist is not known: a run is refused
    there.
    """
    layout = settings.layout()
    ranks_by_host = list(layout.ranks_by_host)
    host = gather_cluster_information(SoloComm(), settings.cache_dir).hosts[0]
    filesystem = host.cache_filesystem
    is_shared = filesystem.is_same_storage(filesystem)
    sharers = sum(ranks_by_host) if is_shared else max(ranks_by_host)
    limits = read_limits()
    problem = missing_parent(settings.cache_dir)
    capacity = HostCapacity(
        None if problem else filesystem.free_bytes,
        None if limits.memory is None else limits.memory.available_bytes,
        sharers,
        limits.process_memory_bytes,
        filesystem.is_in_memory and not problem,
        host.usable.limits,
        problem,
    )
    return plan.datasize(ranks_by_host, capacity)
