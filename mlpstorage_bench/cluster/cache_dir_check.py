"""Whether hosts have the place that they are told to measure."""

from __future__ import annotations

from collections.abc import Sequence

from mlpstorage_bench.benchmark_type import CACHE_DIR_OPTION
from mlpstorage_bench.cluster.differences import format_values
from mlpstorage_bench.cluster.host import HostRecord
from mlpstorage_bench.errors import InvalidInputError


def check_cache_dirs(hosts: Sequence[HostRecord]) -> None:
    """Raise InvalidInputError where the cache directory is on some hosts, and not on others.

    Where storage is not mounted, directories made in its place would be on another disk: the run
    would measure that. So as much of the path as one host has, each must have.
    """
    places = [(host.hostname, host.cache_filesystem.existing) for host in hosts]
    if len({existing for _, existing in places}) > 1:
        raise InvalidInputError(
            CACHE_DIR_OPTION,
            hosts[0].cache_filesystem.path,
            "a directory that is on every host, or on none yet",
            hint=f"There is {format_values(places)}. Is the storage mounted everywhere? Make the "
            "directory on the hosts that lack it, or remove it from those that have it",
        )
