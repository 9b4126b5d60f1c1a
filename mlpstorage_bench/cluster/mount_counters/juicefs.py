"""Bytes of a JuiceFS mount, from the statistics that its daemon shows in the mount (`.stats`).

A line has a metric and its value: `juicefs_object_request_data_bytes_GET 4194304`, and `_PUT`. The
client moves whole blocks and reads ahead, so that they are a bound. What it serves from its own
cache, in memory or on a local disk, is not among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlpstorage_bench.cluster.disks import read_fact
from mlpstorage_bench.cluster.filesystems import Mount
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.source import Source, SourceFiles

_GET, _PUT = (f"juicefs_object_request_data_bytes_{method}" for method in ("GET", "PUT"))
_LARGEST = 2.0**64


def juicefs_source(mount: Mount) -> SourceFiles | None:
    """Return the counter of a mount's requests for objects; None if it shows none."""
    path = Path(mount.mount_point, ".stats")
    if read_fact(path) is None:
        return None
    source = Source(f"the object storage of {mount.mount_point}", "host", "bound")
    return SourceFiles(source, (str(path),), _of_mount)


def _of_mount(texts: Sequence[str]) -> Traffic:
    return object_storage_bytes(texts[0])


def object_storage_bytes(text: str) -> Traffic:
    """Return the bytes of all requests; a metric is absent until there was one."""
    values = {_GET: 0, _PUT: 0}
    for line in text.split("\n"):
        name, _, value = line.partition(" ")
        if name in values:
            values[name] = _count(value)
    return Traffic(values[_GET], values[_PUT])


def _count(value: str) -> int:
    """Return a value, which may be written with an exponent; 0 if it is no count."""
    try:
        number = float(value)
    except ValueError:
        return 0
    return round(number) if 0 <= number <= _LARGEST else 0
