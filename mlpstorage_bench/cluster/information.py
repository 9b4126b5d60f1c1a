"""Records of a session's hosts, one each, gathered by the session's own ranks.

The ranks that measure describe their hosts, without a separate job or remote shell: so the records
belong to the hosts that were measured.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import xxhash

from mlpstorage_bench.cluster.clocks import measure_clock_offsets
from mlpstorage_bench.cluster.differences import describe_differences, format_values
from mlpstorage_bench.cluster.host import HostRecord, describe_host
from mlpstorage_bench.cluster.reference_hosts import host_in_reference_form
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.mpi.comm import Comm
from mlpstorage_bench.paths import CACHE_DIR_OPTION
from mlpstorage_bench.units import GIB


@dataclass(frozen=True)
class ClusterInformation:
    """The hosts of a session, in the order of the lowest rank on each; equal on every rank."""

    hosts: tuple[HostRecord, ...]
    ranks_by_host: dict[str, tuple[int, ...]]
    """The ranks on each host, ascending; hosts in the same order."""
    inconsistencies: tuple[str, ...]
    """A sentence for each fact in which hosts differ that should be alike."""
    collection_method: Literal["mpi", "local"]
    collection_timestamp: str
    """ISO 8601, UTC, by the clock of rank 0's host."""

    @property
    def num_hosts(self) -> int:
        """Number of distinct hosts."""
        return len(self.hosts)

    @property
    def hostnames(self) -> tuple[str, ...]:
        """Names of the distinct hosts."""
        return tuple(host.hostname for host in self.hosts)

    def host_of_rank(self, rank: int) -> HostRecord:
        """Return the host that a rank runs on; ValueError for an unknown rank."""
        for host in self.hosts:
            if rank in self.ranks_by_host[host.hostname]:
                return host
        raise ValueError(f"rank: got {rank}; accepted: 0 to {self._num_ranks - 1}")

    def ranks_sharing_cache(self, rank: int) -> int:
        """Return how many ranks, this one included, fill the filesystem of a rank's cache.

        Those on the same host, and those on other hosts when it is a network or cluster filesystem.
        """
        own = self.host_of_rank(rank)
        return sum(
            len(self.ranks_by_host[host.hostname])
            for host in self.hosts
            if host is own or own.cache_filesystem.is_same_storage(host.cache_filesystem)
        )

    def memory_of_rank(self, rank: int) -> int | None:
        """Return a rank's share of its host's usable memory in bytes; None if that is unknown."""
        host = self.host_of_rank(rank)
        memory = host.usable.memory_bytes
        return None if memory is None else memory // len(self.ranks_by_host[host.hostname])

    def limits(self) -> list[str]:
        """Return a sentence for each limit of a host that is narrower than its hardware."""
        return [f"{host.hostname}: {limit}" for host in self.hosts for limit in host.usable.limits]

    def system_info(self) -> dict[str, object]:
        """Return the metadata's `system_info`, in the reference's format.

        Memory in bytes, physical cores; a sum is None if the value of a host is unknown.
        """
        memory = [host.memory.total for host in self.hosts]
        return {
            "total_memory_bytes": _of_all(sum, memory),
            "total_cores": _of_all(sum, [host.cpu.num_cores for host in self.hosts]),
            "num_hosts": self.num_hosts,
            "min_memory_bytes": _of_all(min, memory),
            "max_memory_bytes": _of_all(max, memory),
            "collection_method": self.collection_method,
            "collection_timestamp": self.collection_timestamp,
            "hosts": [
                host_in_reference_form(host, self.ranks_by_host[host.hostname])
                for host in self.hosts
            ],
            **(
                {"host_consistency_issues": list(self.inconsistencies)}
                if self.inconsistencies
                else {}
            ),
        }

    def describes_host(self, rank: int) -> bool:
        """Return whether a rank describes its host: the lowest rank on it."""
        return rank == self.ranks_by_host[self.host_of_rank(rank).hostname][0]

    def with_hosts(self, hosts: Sequence[HostRecord]) -> ClusterInformation:
        """Return the same cluster with later records of its hosts, in the same order."""
        time = hosts[0].collection_timestamp
        return replace(self, hosts=tuple(hosts), collection_timestamp=time)

    def system_fingerprint(self) -> str:
        """Return a digest of the machines; two runs are comparable only if it is equal.

        It covers the number of ranks and, of every host, what affects a result: CPU model, logical
        cores, memory in GiB (and how much of both may be used, if not all), the kernel's
        major.minor, and the cache's filesystem type and device model. Names of hosts and their
        order are not in it. XXH3, 128 bits, in hexadecimal.
        """
        hosts = sorted(json.dumps(list(_machine(host).values())) for host in self.hosts)
        return xxhash.xxh3_128_hexdigest(json.dumps([self._num_ranks, hosts]).encode())

    def system_fingerprint_parts(self) -> dict[str, object]:
        """Return the input of the fingerprint, to show how two systems differ."""
        return {
            "ranks": self._num_ranks,
            "hosts": sorted(map(_machine, self.hosts), key=json.dumps),
        }

    @property
    def _num_ranks(self) -> int:
        return sum(len(ranks) for ranks in self.ranks_by_host.values())


def gather_cluster_information(
    comm: Comm, cache_dir: Path, mpi_library: str | None = None
) -> ClusterInformation:
    """Return the hosts of all ranks, on every rank; a collective of all ranks.

    A host is identified by its hostname, and described by its lowest rank. `mpi_library` is the
    library that this rank has loaded.
    """
    names = comm.allgather(socket.gethostname())
    ranks_by_host: dict[str, tuple[int, ...]] = {}
    for rank, name in enumerate(names):
        ranks_by_host[name] = (*ranks_by_host.get(name, ()), rank)
    describes_host = comm.rank == ranks_by_host[names[comm.rank]][0]
    offsets = measure_clock_offsets(comm.allgather) if len(ranks_by_host) > 1 else None
    records = comm.allgather(
        replace(
            describe_host(cache_dir),
            mpi_library=mpi_library,
            clock_offset_s=None if offsets is None else round(offsets[comm.rank], 3),
        )
        if describes_host
        else None
    )
    hosts = tuple(record for record in records if record is not None)
    return ClusterInformation(
        hosts=hosts,
        ranks_by_host=ranks_by_host,
        inconsistencies=describe_differences(hosts),
        collection_method="mpi" if comm.size > 1 else "local",
        collection_timestamp=hosts[0].collection_timestamp,
    )


def _of_all(combine: Callable[[list[int]], int], values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return combine(known) if len(known) == len(values) else None


def _machine(host: HostRecord) -> dict[str, object]:
    memory = host.memory.total
    kernel_family = re.match(r"\d+\.\d+", host.system.kernel_version)
    return {
        "cpu_model": host.cpu.model,
        "logical_cores": host.cpu.num_logical_cores,
        "memory_gib": None if memory is None else round(memory / GIB),
        "kernel_family": kernel_family[0] if kernel_family else host.system.kernel_version,
        "cache_fstype": host.cache_filesystem.fstype,
        "cache_device_model": host.cache_filesystem.model,
        **_limited(host),
    }


def _limited(host: HostRecord) -> dict[str, object]:
    """Return the processors and memory that may be used, where these are not all."""
    limited: dict[str, object] = {}
    usable, memory = host.usable, host.memory.total
    if usable.processors is not None and usable.processors < (host.cpu.num_logical_cores or 0):
        limited["usable_processors"] = usable.processors
    if usable.memory_bytes is not None and usable.memory_bytes < (memory or 0):
        limited["usable_memory_gib"] = round(usable.memory_bytes / GIB, 2)
    return limited


def check_cache_dirs(hosts: Sequence[HostRecord]) -> None:
    """Raise InvalidInputError if the cache directory exists on some hosts and not on others.

    On a host where the storage is not mounted, the directory would be created on another disk, and
    the run would measure that disk. So the existing part of the path must be the same everywhere.
    """
    places = [(host.hostname, host.cache_filesystem.existing) for host in hosts]
    if len({existing for _, existing in places}) > 1:
        raise InvalidInputError(
            CACHE_DIR_OPTION,
            hosts[0].cache_filesystem.path,
            "a directory that is on every host, or on none yet",
            hint=f"Existing: {format_values(places)}. Is the storage mounted everywhere? Make the "
            "directory on the hosts that lack it, or remove it from those that have it",
        )
