"""Storage errors before the first trial and after the last name rank and host."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.benchmark_type.interface import RankSite
from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.kvcache.runner.engine import Engine
from tests.mounts import unmount

Mount = Callable[[str, str], Path]


class Third:
    """The part of the ranks that an engine uses on entry."""

    rank = 3
    size = 4


def engine(cache_dir: Path) -> Engine:
    ranks: Any = Third()
    return Engine(ranks, RankSite("there", cache_dir))


def test_full_filesystem_at_start_is_an_error_that_names_rank_and_host(mount: Mount) -> None:
    folder = mount("tmpfs", "nr_inodes=4")  # its root, the rank's two directories, and the claim
    message = r"^rank 3 on there: probing direct I/O on .*rank_3/.* failed: .*\(ENOSPC\)"
    with pytest.raises(StorageError, match=message):
        engine(folder / "cache").__enter__()
    assert list(folder.iterdir()) == []


def test_unremovable_directory_is_an_error_that_names_rank_and_host(
    mount: Mount,
) -> None:
    folder = mount("tmpfs", "size=1m")
    kept = folder / "cache" / "rank_3" / "blocks"
    entered = engine(folder / "cache").__enter__()
    kept.mkdir()
    subprocess.run(["/bin/mount", "-t", "tmpfs", "none", str(kept)], check=True)
    message = rf"^rank 3 on there: removing .*rank_3 failed: \[Errno {errno.EBUSY}\]"
    try:
        with pytest.raises(StorageError, match=message):
            entered.__exit__()
    finally:
        unmount(kept)
