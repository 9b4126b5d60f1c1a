"""Bytes of an NFS mount, from /proc/self/mountstats.

A mount's block begins with `device SERVER:/EXPORT mounted on DIRECTORY with fstype nfs
statvers=1.1`. Its line `bytes:` has eight numbers: bytes that processes read and wrote through the
page cache and with O_DIRECT, bytes that the server sent and received, pages read and written. The
server's two count when a READ or WRITE was answered, whatever the way of the process's call.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mlpstorage_bench.cluster.filesystems import Mount, unescape
from mlpstorage_bench.cluster.mount_counters.count import parse_count
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.source import Source, SourceFiles

_FROM_SERVER, _TO_SERVER = 4, 5


def nfs_source(mount: Mount, proc: Path) -> SourceFiles:
    """Return the counter of an NFS mount."""
    return SourceFiles(
        Source(f"the NFS mount {mount.mount_point}", "host", "exact"),
        (str(proc / "self" / "mountstats"),),
        partial(_of_mount, mount.mount_point),
    )


def _of_mount(mount_point: str, texts: Sequence[str]) -> Traffic | None:
    return server_bytes(texts[0], mount_point)


def server_bytes(text: str, mount_point: str) -> Traffic | None:
    """Return the bytes that a mount's server sent and received; None if it is not listed as NFS.

    Of several mounts on one directory, the last hides the others.
    """
    found: Traffic | None = None
    is_ours = False
    for line in text.split("\n"):
        words = line.split()
        if line.startswith(("device ", "no device ")):
            is_ours = _mount_point(line) == mount_point
            found = None if is_ours else found
        elif is_ours and words[:1] == ["bytes:"]:
            counts = [parse_count(word) for word in words[1:]]
            match counts[_FROM_SERVER : _TO_SERVER + 1]:
                case [int(read), int(written)]:
                    found = Traffic(read, written)
    return found


def _mount_point(line: str) -> str:
    """Return the directory of a block's first line, in which blanks of names are escaped."""
    match line.split(" "):
        case ["device", _, "mounted", "on", directory, "with", "fstype", *_]:
            return unescape(directory)
    return ""
