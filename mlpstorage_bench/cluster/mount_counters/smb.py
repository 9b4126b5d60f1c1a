r"""Bytes of an SMB share, from /proc/fs/cifs/Stats.

Each connection to a share has a block that begins with its number and name: `1) \\server\share`.
From SMB 2 on, a line `Bytes read: 12  Bytes written: 34` counts what the server answered.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mlpstorage_bench.cluster.filesystems import Mount
from mlpstorage_bench.cluster.mount_counters.count import parse_count
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.source import Source, SourceFiles

_SHARE = re.compile(r"\d+\) (\\\\[^\t]+)")
_BYTES = re.compile(r"Bytes read: ([0-9]+)  ?Bytes written: ([0-9]+)")


def smb_source(mount: Mount, proc: Path) -> SourceFiles | str:
    """Return the counter of a mounted share, or why there is none."""
    path, share = proc / "fs" / "cifs" / "Stats", share_name(mount.device)
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        return f"{path} cannot be read by this user ({error.strerror})"
    source = Source(f"the SMB share {mount.device}", "host", "exact")
    return SourceFiles(source, (str(path),), partial(_of_share, share))


def share_name(source: str) -> str:
    """Return the share of a mount's source, as the kernel lists it: without a path inside it."""
    return "\\\\" + "\\".join(source.replace("\\", "/").strip("/").split("/")[:2])


def _of_share(share: str, texts: Sequence[str]) -> Traffic | None:
    return share_bytes(texts[0], share)


def share_bytes(text: str, share: str) -> Traffic | None:
    """Return the bytes of all connections to a share; None if it is not listed with its bytes."""
    found: list[Traffic] = []
    is_ours = False
    for line in text.split("\n"):
        begins, counts = _SHARE.match(line), _BYTES.match(line)
        if begins is not None:
            is_ours = begins[1].strip().casefold() == share.casefold()
        elif is_ours and counts is not None:
            found.append(Traffic(parse_count(counts[1]) or 0, parse_count(counts[2]) or 0))
    return Traffic.sum(found) if found else None
