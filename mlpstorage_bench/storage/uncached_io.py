"""Whether files in a directory move through the page cache without staying in it.

The kernel calls it uncached buffered I/O (RWF_DONTCACHE, Linux 6.14): a filesystem has to support
it.
"""

from __future__ import annotations

import os
from pathlib import Path

from mlpstorage_bench.storage.buffers import SECTOR_BYTES
from mlpstorage_bench.storage.failures import storage_error
from mlpstorage_bench.storage.files import DATA_SUFFIX, DONTCACHE, remove


def uncached_refusal(directory: Path) -> str:
    """Return why files in a directory cannot move uncached; '' if they can.

    A file is written and read there.
    """
    path = directory / f".uncached-probe{DATA_SUFFIX}"
    memory = bytearray(SECTOR_BYTES)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise storage_error("probing uncached I/O on", path, error) from error
    try:
        for move in (os.pwritev, os.preadv):
            move(descriptor, [memory], 0, DONTCACHE)
    except OSError as error:
        return f"{move.__name__} with RWF_DONTCACHE: {error.strerror}"
    finally:
        os.close(descriptor)
        remove(path)
    return ""
