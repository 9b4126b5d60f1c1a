"""The file in which the reference says whether data and results lie on different filesystems."""

from __future__ import annotations

from collections.abc import Mapping

from mlpstorage_bench.benchmark_type.records import Json


def fs_separation(filesystems: Json) -> Json:
    """Return the content of `fs_separation.json`, for the filesystems of both directories.

    The reference finds out by a hard link; ours are compared by their devices and mounts.
    """
    cache, results = (filesystems.get(name) for name in ("cache", "results"))
    paths = [one.get("path") if isinstance(one, Mapping) else None for one in (cache, results)]
    return {
        "version": 1,
        "method": "mounts",
        "data_or_chkpt_path": paths[0],
        "results_path": paths[1],
        "same_filesystem": filesystems.get("same_filesystem"),
        "probed_by_rank": 0,
        "probed_by_host": filesystems.get("host"),
    }
