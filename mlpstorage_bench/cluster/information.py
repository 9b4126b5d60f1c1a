"""One record per host, gathered over the session's own ranks; what differs; what must be equal."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import xxhash

from mlpstorage_bench.cluster.host import PACKAGES, HostRecord, describe_host

T = TypeVar("T")

GIB = 1 << 30
MEMORY_TOLERANCE = 0.02
"""Hosts of one kind differ by less: firmware keeps a little for itself."""


class Communicator(Protocol):
    """What gathering needs of the ranks."""

    rank: int
    size: int

    def allgather(self, value: T) -> list[T]:
        """Return every rank's value, in rank order, on every rank."""
        ...


@dataclass(frozen=True)
class ClusterInformation:
    """The hosts of a session, in the order of the lowest rank on each."""

    hosts: tuple[HostRecord, ...]
    ranks_by_host: Mapping[str, tuple[int, ...]]
    inconsistencies: tuple[str, ...]
    """Sentences: what differs between hosts that should be alike."""
    collection_method: str
    """`mpi`, or `local` for one process."""
    collection_timestamp: str

    @property
    def num_hosts(self) -> int:
        """Number of hosts."""
        return len(self.hosts)

    @property
    def hostnames(self) -> tuple[str, ...]:
        """Names of the hosts."""
        return tuple(host.hostname for host in self.hosts)

    def host_of_rank(self, rank: int) -> HostRecord:
        """Return the host that a rank is on."""
        return next(host for host in self.hosts if rank in self.ranks_by_host[host.hostname])

    def ranks_sharing_cache(self, rank: int) -> int:
        """Return how many ranks keep their cache files on the same filesystem as this one.

        Those of its host; on a network filesystem, those of every host that has mounted the same.
        """
        own = self.host_of_rank(rank)
        filesystem = own.cache_filesystem
        if filesystem is None or not filesystem.is_shared:
            return len(self.ranks_by_host[own.hostname])
        return sum(
            len(self.ranks_by_host[host.hostname])
            for host in self.hosts
            if host.cache_filesystem and host.cache_filesystem.device == filesystem.device
        )

    def system_info(self) -> dict[str, Any]:
        """Return the metadata's `system_info`, in the reference's shape."""
        memory = [host.memory.total for host in self.hosts]
        return {
            "total_memory_bytes": sum(memory),
            "total_cores": sum(h.cpu.num_cores or h.cpu.num_logical_cores for h in self.hosts),
            "num_hosts": self.num_hosts,
            "min_memory_bytes": min(memory),
            "max_memory_bytes": max(memory),
            "collection_method": self.collection_method,
            "collection_timestamp": self.collection_timestamp,
            "hosts": [
                {**asdict(host), "ranks": list(self.ranks_by_host[host.hostname])}
                for host in self.hosts
            ],
            "host_consistency_issues": list(self.inconsistencies),
        }

    def system_fingerprint(self) -> str:
        """Return what must be equal for two runs to be comparable, as 128 bits in hexadecimal.

        CPU model, logical cores, memory to the GiB, kernel family, and filesystem and device model
        of the cache directory, of all hosts; and the number of ranks.
        """
        facts = sorted(repr(_comparable_facts(host)) for host in self.hosts)
        ranks = sum(len(ranks) for ranks in self.ranks_by_host.values())
        return xxhash.xxh3_128_hexdigest("\n".join([*facts, str(ranks)]).encode())


def gather_cluster_information(comm: Communicator, cache_dir: Path) -> ClusterInformation:
    """Gather the hosts of all ranks, on every rank: the lowest rank of a host describes it."""
    hostnames = comm.allgather(socket.gethostname())
    is_lowest = hostnames.index(hostnames[comm.rank]) == comm.rank
    own = describe_host(cache_dir) if is_lowest else None
    hosts = tuple(record for record in comm.allgather(own) if record is not None)
    return ClusterInformation(
        hosts=hosts,
        ranks_by_host={
            host.hostname: tuple(r for r, name in enumerate(hostnames) if name == host.hostname)
            for host in hosts
        },
        inconsistencies=tuple(find_inconsistencies(hosts)),
        collection_method="mpi" if comm.size > 1 else "local",
        collection_timestamp=datetime.now(UTC).isoformat(timespec="seconds"),
    )


_FACTS: Mapping[str, Callable[[HostRecord], object]] = {
    "CPU model": lambda host: host.cpu.model,
    "number of logical cores": lambda host: host.cpu.num_logical_cores,
    "kernel version": lambda host: host.system.kernel_version,
    "distribution": lambda host: host.system.os_release,
    "Python version": lambda host: host.python_version,
    "cache directory's filesystem": lambda host: (
        host.cache_filesystem.fstype if host.cache_filesystem else None
    ),
    "cache directory's device model": lambda host: (
        host.cache_filesystem.model if host.cache_filesystem else None
    ),
    **{
        f"version of {package}": lambda host, package=package: host.packages.get(package)  # type: ignore[misc]  # mypy has no lambda defaults
        for package in PACKAGES
    },
}


def find_inconsistencies(hosts: tuple[HostRecord, ...]) -> list[str]:
    """Return a sentence for each fact in which the hosts differ."""
    sentences = []
    for fact, of in _FACTS.items():
        hosts_by_value: dict[object, list[str]] = {}
        for host in hosts:
            hosts_by_value.setdefault(of(host), []).append(host.hostname)
        if len(hosts_by_value) > 1:
            sentences.append(f"hosts differ in {fact}: {_values(hosts_by_value)}")
    memory = {host.memory.total: [host.hostname] for host in hosts}
    if memory and max(memory) - min(memory) > MEMORY_TOLERANCE * max(memory):
        by_size: dict[object, list[str]] = {}
        for host in hosts:
            by_size.setdefault(f"{host.memory.total / GIB:.1f} GiB", []).append(host.hostname)
        sentences.append(f"hosts differ in memory: {_values(by_size)}")
    return sentences


def _values(hosts_by_value: Mapping[object, list[str]]) -> str:
    return "; ".join(f"{value} on {', '.join(hosts)}" for value, hosts in hosts_by_value.items())


def _comparable_facts(host: HostRecord) -> tuple[object, ...]:
    filesystem = host.cache_filesystem
    return (
        host.cpu.model,
        host.cpu.num_logical_cores,
        round(host.memory.total / GIB),
        ".".join(host.system.kernel_version.split(".")[:2]),
        filesystem.fstype if filesystem else None,
        filesystem.model if filesystem else None,
    )
