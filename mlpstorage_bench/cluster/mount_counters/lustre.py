"""Bytes of a Lustre filesystem, from its connections to object and metadata servers.

`osc.*.stats` (and `mdc.*.stats`, for data on metadata targets) count the bytes that an answered RPC
had moved: `read_bytes 12 samples [bytes] 4096 1048576 9437184`, where the last three are least,
most and sum. A connection that has moved nothing has no such line. `llite.*.stats` count what
processes read, from the page cache as well, and so say nothing about it.

Until Lustre 2.11 these files are below /proc/fs/lustre, later below /sys/kernel/debug/lustre, which
root alone can read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from mlpstorage_bench.cluster.filesystems import Mount
from mlpstorage_bench.cluster.mount_counters.count import parse_count
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.source import Source, SourceFiles

_CONNECTIONS = (("osc", "OST"), ("mdc", "MDT"))
_SUM = 6
"""Position of the sum in a line of bytes."""


def lustre_source(mount: Mount, proc: Path, sysfs: Path) -> SourceFiles | str:
    """Return the counters of a mount's filesystem, or why there are none."""
    filesystem = filesystem_name(mount.device)
    refusal = ""
    for root in (proc / "fs" / "lustre", sysfs / "kernel" / "debug" / "lustre"):
        try:
            files = _files(root, filesystem)
        except FileNotFoundError:
            continue
        except OSError as error:
            refusal = f"{root}/osc cannot be read by this user ({error.strerror})"
            continue
        if files:
            source = Source(f"the Lustre filesystem {filesystem}", "host", "exact")
            return SourceFiles(source, files, rpc_bytes)
    return refusal or f"no connection of {filesystem} has statistics (osc.*.stats)"


def _files(root: Path, filesystem: str) -> tuple[str, ...]:
    files = []
    for kind, target in _CONNECTIONS:
        name = re.compile(rf"{re.escape(filesystem)}-{target}[0-9a-f]+-{kind}-(?!MDT).+")
        if kind == "osc" or (root / kind).is_dir():
            files += [
                str(directory / "stats")
                for directory in sorted((root / kind).iterdir())
                if name.fullmatch(directory.name)
            ]
    for path in files:
        os.close(os.open(path, os.O_RDONLY))  # raises the reason if this user may not
    return tuple(files)


def filesystem_name(source: str) -> str:
    """Return the name in a mount's source: `scratch` of `10.0.0.1@tcp:10.0.0.2@tcp:/scratch/a`."""
    return source.rpartition(":/")[2].partition("/")[0]


def rpc_bytes(texts: Sequence[str]) -> Traffic:
    """Return the bytes of all connections' RPCs."""
    sums = {"read_bytes": 0, "write_bytes": 0}
    for text in texts:
        for line in text.split("\n"):
            words = line.split()
            if len(words) > _SUM and words[0] in sums and words[3] == "[bytes]":
                sums[words[0]] += parse_count(words[_SUM]) or 0
    return Traffic(sums["read_bytes"], sums["write_bytes"])
