"""Bytes that a profile needs by rank, host and tier, for `--mlps-datasize` and mode whatif."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlpstorage_bench.benchmark_type.plan import HostCapacity
from mlpstorage_bench.benchmark_type.sizes import CaseSize, KnownCaseSize, SizeReport
from mlpstorage_bench.kvcache.config.profile_file import Profile
from mlpstorage_bench.kvcache.config.request_source import RankWorkload
from mlpstorage_bench.kvcache.config.workload import Workload
from mlpstorage_bench.kvcache.sizing import RankSize, size_of_rank, users_that_fit

UNKNOWN_SPACE = "this filesystem does not report its free space: set storage_capacity_gb"


MOST_RANKS = 32
"""Ranks whose requests are examined."""
MOST_REQUESTS_OF_RANKS = 1_000_000
"""Requests after which no further rank is examined."""


@dataclass(frozen=True)
class KVCacheCaseSize(KnownCaseSize):
    """Sizes of a workload."""

    bytes_per_token: int


@dataclass(frozen=True)
class _Hosts:
    """Hosts of a planned run, which are assumed to be like this one."""

    ranks_by_host: Sequence[int]
    free_storage: int | None
    """Bytes for each rank; None if the filesystem reports none."""
    free_memory: int | None
    """Bytes for each rank; None if unknown."""
    is_in_memory: bool
    """Whether the storage is in that memory."""
    storage_problem: str
    """Reason why no run can use the storage; '' if one can."""

    def largest(self, rank_bytes: Sequence[int]) -> int:
        """Return the largest sum over a host's ranks; ranks are ordered by host."""
        sums, at = [], 0
        for count in self.ranks_by_host:
            sums.append(sum(rank_bytes[at : at + count]))
            at += count
        return max(sums)

    def problems(self, size: RankSize) -> list[str]:
        """Return the reasons why a rank of this size cannot run here."""
        of_size = size.problems(
            size.storage if self.free_storage is None else self.free_storage,
            self.free_memory,
            is_in_memory=self.is_in_memory,
        )
        return [*filter(None, [self.storage_problem]), *of_size]


def datasize(
    profile: Profile, cache_dir: str, ranks_by_host: Sequence[int], capacity: HostCapacity
) -> SizeReport:
    """Return the sizes of every case; hosts are assumed to be like this one."""
    hosts = _Hosts(
        ranks_by_host,
        None if capacity.storage is None else capacity.storage // capacity.sharers,
        _least(
            None if capacity.memory is None else capacity.memory // max(ranks_by_host),
            capacity.process_memory,
        ),
        capacity.is_in_memory,
        capacity.storage_problem,
    )
    cases = [
        CaseSize(name, (hosts.storage_problem or UNKNOWN_SPACE,))
        if hosts.free_storage is None and workload.storage_capacity_gb is None
        else _size_of_case(name, workload, profile.seed, hosts)
        for name, workload in profile.workloads.items()
    ]
    return SizeReport(
        profile=profile.name,
        seed=profile.seed,
        cache_dir=cache_dir,
        ranks_by_host=ranks_by_host,
        free_storage_bytes_per_rank=hosts.free_storage,
        free_memory_bytes_per_rank=hosts.free_memory,
        limits=capacity.limits,
        cases=cases,
    )


def _least(*numbers: int | None) -> int | None:
    return min((number for number in numbers if number is not None), default=None)


def _size_of_case(name: str, workload: Workload, seed: int, hosts: _Hosts) -> KVCacheCaseSize:
    ranks = sum(hosts.ranks_by_host)
    parts, sizes = [], []
    for rank in range(0, ranks, -(-ranks // MOST_RANKS)):
        parts.append(RankWorkload.for_rank(workload, seed, rank, ranks))
        sizes.append(size_of_rank(parts[-1], hosts.free_storage or 0))
        if sum(size.examined_requests for size in sizes) > MOST_REQUESTS_OF_RANKS:
            break
    storage = _of_all(ranks, [size.storage for size in sizes])
    memory = _of_all(ranks, [size.memory for size in sizes])
    return KVCacheCaseSize(
        case=name,
        model=workload.model,
        bytes_per_token=workload.bytes_per_token,
        users_per_rank=max(part.workload.users for part in parts),
        largest_entry_bytes=max(size.largest_entry for size in sizes),
        written_bytes_per_rank=_most(size.written for size in sizes),
        keeps_all_bytes_per_rank=_most(size.keeps_all for size in sizes),
        storage_bytes_per_rank=max(storage),
        storage_bytes_per_host=hosts.largest(storage),
        storage_bytes=sum(storage),
        memory_bytes_per_rank=max(memory),
        memory_bytes_per_host=hosts.largest(memory),
        evicts=any(size.evicts for size in sizes),
        users_that_fit=users_that_fit(parts, hosts.free_storage or 0),
        examined_ranks=len(sizes),
        problems=sorted({problem for size in sizes for problem in hosts.problems(size)}),
    )


def _of_all(ranks: int, examined: Sequence[int]) -> list[int]:
    """Return a size for each rank: those that were examined, and the largest for the others."""
    return [*examined, *[max(examined)] * (ranks - len(examined))]


def _most(sizes: Iterable[int | None]) -> int | None:
    """Return the largest size; None if one has no limit."""
    largest = 0
    for size in sizes:
        if size is None:
            return None
        largest = max(largest, size)
    return largest
