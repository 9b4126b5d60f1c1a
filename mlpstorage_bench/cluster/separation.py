"""Whether cache and results of a run lie on different filesystems (rule 6.4.1)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.cluster.filesystems import CacheFilesystem, describe_cache_filesystem


@dataclass(frozen=True)
class Place:
    """A directory and its filesystem; values that are unknown on this host are None."""

    path: str
    mount_point: str | None
    fstype: str | None
    device: str | None
    """Mounted device: a block device, `server:/export`, or a name."""
    device_number: int
    """The number by which the kernel tells filesystems apart (`st_dev`)."""


@dataclass(frozen=True)
class Separation:
    """The filesystems of cache and results on one host."""

    host: str
    cache: Place
    results: Place
    same_filesystem: bool


def separation(host: str, cache_dir: Path, results_dir: Path) -> Separation:
    """Return the filesystems of two directories of this host, which need not exist yet.

    They are one if the kernel has one number for both, or if the same block device, export or
    cluster filesystem is mounted under both: each subvolume of Btrfs has a number of its own.
    """
    cache, results = map(describe_cache_filesystem, (cache_dir, results_dir))
    places = _place(cache), _place(results)
    is_one = places[0].device_number == places[1].device_number or _is_same_device(cache, results)
    return Separation(host, *places, same_filesystem=is_one)


def _is_same_device(one: CacheFilesystem, other: CacheFilesystem) -> bool:
    is_block_device = (one.device or "").startswith("/")
    is_same = (one.fstype, one.device) == (other.fstype, other.device)
    return (is_block_device and is_same) or one.is_same_storage(other)


def _place(filesystem: CacheFilesystem) -> Place:
    return Place(
        path=filesystem.path,
        mount_point=filesystem.mount_point,
        fstype=filesystem.fstype,
        device=filesystem.device,
        device_number=os.stat(filesystem.existing).st_dev,  # noqa: PTH116 - a text, not a Path
    )
