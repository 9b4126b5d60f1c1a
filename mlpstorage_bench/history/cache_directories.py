"""Cache directories of runs, and whether the same path leads to the same storage as before.

Nothing but the device tells an array that is not mounted from the disk below its mount point: both
may have the same filesystem type, and the same model in a virtual machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlpstorage_bench.cluster.host import HostRecord
from mlpstorage_bench.results.run_metadata import RunMetadata


@dataclass(frozen=True)
class CacheDirectory:
    """The cache directory of a host, and the storage under it; values are None where unknown."""

    host: str
    path: str
    fstype: str | None
    device: str | None
    model: str | None
    mount_point: str | None

    @property
    def place(self) -> tuple[str, str]:
        """The host and the path."""
        return self.host, self.path

    @property
    def storage(self) -> str:
        """The filesystem and its device in words."""
        model = f" ({self.model})" if self.model else ""
        mounted = f", mounted at {self.mount_point}" if self.mount_point else ""
        return f"{self.fstype or 'unknown'} on {self.device or 'unknown'}{model}{mounted}"

    def is_same_storage(self, other: CacheDirectory) -> bool:
        """Return whether filesystem type, device and model are equal."""
        return (self.fstype, self.device, self.model) == (other.fstype, other.device, other.model)


def of_hosts(hosts: Iterable[HostRecord]) -> tuple[CacheDirectory, ...]:
    """Return the cache directories of a session's hosts."""
    return tuple(
        CacheDirectory(host.hostname, one.path, one.fstype, one.device, one.model, one.mount_point)
        for host in hosts
        for one in [host.cache_filesystem]
    )


def of_metadata(metadata: RunMetadata) -> tuple[CacheDirectory, ...]:
    """Return the cache directories in a run's metadata; none where it does not name them."""
    return tuple(
        CacheDirectory(host.hostname, one.path, one.fstype, one.device, one.model, one.mount_point)
        for host in metadata.system_info.hosts
        for one in [host.cache_filesystem]
        if one.path is not None
    )


def replaced(
    now: Iterable[CacheDirectory], before: Iterable[CacheDirectory]
) -> list[tuple[CacheDirectory, CacheDirectory]]:
    """Return the directories, now and before, whose host and path are equal but not the storage."""
    earlier = {one.place: one for one in before}
    pairs = [(one, earlier.get(one.place)) for one in now]
    return [(one, old) for one, old in pairs if old is not None and not one.is_same_storage(old)]
