"""Bytes of a GlusterFS mount, from the state that its daemon shows in the mount (`.meta`).

`.meta/graphs/active` has a directory for each part of the mount's graph. That of a connection to a
brick has the type `protocol/client`, and a file `private` with the bytes that the connection moved:
with headers and metadata, and of each copy that a volume keeps. They are therefore a bound. Any
user can read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlpstorage_bench.cluster.disks import read_fact
from mlpstorage_bench.cluster.filesystems import Mount
from mlpstorage_bench.cluster.mount_counters.count import parse_count
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.source import Source, SourceFiles

_READ, _WRITTEN = "total_bytes_read", "total_bytes_written"


def gluster_source(mount: Mount) -> SourceFiles | None:
    """Return the counters of a mount's connections; None if it shows none."""
    graph = Path(mount.mount_point, ".meta", "graphs", "active")
    try:
        parts = sorted(graph.iterdir())
    except OSError:
        return None
    files = [str(p / "private") for p in parts if read_fact(p / "type") == "protocol/client"]
    if not files:
        return None
    source = Source(f"the connections of {mount.mount_point} to its bricks", "host", "bound")
    return SourceFiles(source, tuple(files), transport_bytes)


def transport_bytes(texts: Sequence[str]) -> Traffic | None:
    """Return the bytes of all connections; None if one does not show them."""
    counts = [_of_connection(text) for text in texts]
    known = [count for count in counts if count is not None]
    return Traffic.sum(known) if known and len(known) == len(counts) else None


def _of_connection(text: str) -> Traffic | None:
    values: dict[str, int | None] = {_READ: None, _WRITTEN: None}
    for line in text.split("\n"):
        name, _, value = (part.strip() for part in line.partition("="))
        if name in values:
            values[name] = parse_count(value)
    read, written = values[_READ], values[_WRITTEN]
    return None if read is None or written is None else Traffic(read, written)
