"""Bytes of a CephFS mount of the kernel, from its file of metrics in debugfs.

A table with the columns item, total, avg_sz, min_sz, max_sz and total_sz (all in bytes) has a row
for reads from and one for writes to the object servers. It is the file `metrics/size`, or in
older kernels one of several tables in `metrics`. Root alone can read debugfs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mlpstorage_bench.cluster.filesystems import Mount
from mlpstorage_bench.cluster.mount_counters.count import parse_count
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.source import Source, SourceFiles

_HEAD = "total_sz(bytes)"


def ceph_source(mount: Mount, sysfs: Path) -> SourceFiles | str:
    """Return the counter of a mount of CephFS, or why there is none."""
    root = sysfs / "kernel" / "debug" / "ceph"
    try:
        clients = [path.name for path in root.iterdir()]
        client = clients[0] if len(clients) == 1 else _client(mount.mount_point)
        if client is None:
            return f"{root} has several clients, and this kernel does not tell whose the mount is"
        metrics = root / client / "metrics"
        path = metrics / "size" if metrics.is_dir() else metrics
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        return f"{error.filename} cannot be read by this user ({error.strerror})"
    return SourceFiles(
        Source(f"the CephFS mount {mount.mount_point}", "host", "exact"), (str(path),), _of_client
    )


def _client(mount_point: str) -> str | None:
    """Return the name of a mount's client in debugfs; None where the kernel does not tell."""
    try:
        cluster, client = (
            os.getxattr(mount_point, f"ceph.{name}").decode("ascii", "replace")
            for name in ("cluster_fsid", "client_id")
        )
    except OSError:
        return None
    return f"{cluster}.{client}"


def _of_client(texts: Sequence[str]) -> Traffic | None:
    return object_bytes(texts[0])


def object_bytes(text: str) -> Traffic | None:
    """Return the bytes read from and written to object servers; None without the table."""
    sums: dict[str, int | None] = {"read": None, "write": None}
    is_in_table = False
    for line in text.split("\n"):
        words = line.split()
        if not words:
            is_in_table = False
        elif words[-1] == _HEAD:
            is_in_table = True
        elif is_in_table and words[0] in sums:
            sums[words[0]] = parse_count(words[-1])
    read, written = sums["read"], sums["write"]
    return None if read is None or written is None else Traffic(read, written)
