"""What `pytest --mlps-datasize` tells: bytes by rank, host and tier, and whether it fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlpstorage_bench.benchmark_type import HostCapacity
from mlpstorage_bench.kvcache.config.request_source import RankWorkload
from mlpstorage_bench.kvcache.plan import KVCachePlan
from mlpstorage_bench.kvcache.sizing import size_of_rank, users_that_fit

UNKNOWN_SPACE = "this filesystem does not tell its free space: set storage_capacity_gb"


def datasize(
    plan: KVCachePlan, ranks_by_host: Sequence[int], capacity: HostCapacity
) -> dict[str, Any]:
    """Return the sizes of every case; hosts are taken to be like this one."""
    free_storage = None if capacity.storage is None else capacity.storage // capacity.sharers
    free_memory = None if capacity.memory is None else capacity.memory // max(ranks_by_host)
    cases: list[dict[str, Any]] = []
    for name, workload in plan.profile.options.items():
        if free_storage is None and workload.storage_capacity_gb is None:
            cases.append({"case": name, "problems": [UNKNOWN_SPACE]})
            continue
        ranks = sum(ranks_by_host)
        seed = plan.profile.seed
        parts = [RankWorkload.for_rank(workload, seed, rank, ranks) for rank in range(ranks)]
        sizes = [size_of_rank(part, free_storage or 0) for part in parts]
        fitting = [users_that_fit(part, free_storage or 0) for part in parts]
        storage = [size.storage for size in sizes]
        memory = [size.memory for size in sizes]
        problems = {
            problem
            for size in sizes
            for problem in size.problems(
                size.storage if free_storage is None else free_storage,
                size.memory if free_memory is None else free_memory,
            )
        }
        written = [size.written for size in sizes if size.written is not None]
        cases.append(
            {
                "case": name,
                "model": workload.model,
                "bytes_per_token": workload.bytes_per_token,
                "users_per_rank": max(part.workload.num_users for part in parts),
                "largest_entry_bytes": max(size.largest_entry for size in sizes),
                "written_bytes_per_rank": max(written) if len(written) == len(sizes) else None,
                "storage_bytes_per_rank": max(storage),
                "storage_bytes_per_host": max(_by_host(storage, ranks_by_host)),
                "storage_bytes": sum(storage),
                "memory_bytes_per_rank": max(memory),
                "memory_bytes_per_host": max(_by_host(memory, ranks_by_host)),
                "evicts": any(size.evicts for size in sizes),
                "users_that_fit": min((n for n in fitting if n is not None), default=None),
                "problems": sorted(problems),
            }
        )
    return {
        "profile": plan.profile.name,
        "seed": plan.profile.seed,
        "cache_dir": plan.cache_dir,
        "ranks_by_host": list(ranks_by_host),
        "free_storage_bytes_per_rank": free_storage,
        "free_memory_bytes_per_rank": free_memory,
        "fits": not any(case["problems"] for case in cases),
        "cases": cases,
    }


def _by_host(of_ranks: Sequence[int], ranks_by_host: Sequence[int]) -> list[int]:
    """Return the sums over each host's ranks, which come one host after the other."""
    sums, at = [], 0
    for count in ranks_by_host:
        sums.append(sum(of_ranks[at : at + count]))
        at += count
    return sums
