"""A debugfs, as users without privileges see it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture
def debugfs_of_root() -> Iterator[Path]:
    """Make the directory of a debugfs that only root can read, and give up root's privileges."""
    root = Path(tempfile.mkdtemp())  # below directories that every user can search
    root.chmod(0o755)
    debugfs = root / "kernel" / "debug"
    for name in ("lustre/osc/scratch-OST0000-osc-ffff9c3f4e0d1000", "ceph/cluster.client1"):
        (debugfs / name).mkdir(parents=True)
    is_root = os.geteuid() == 0
    debugfs.chmod(0o700 if is_root else 0)
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield debugfs
    finally:
        if is_root:
            os.seteuid(0)
        debugfs.chmod(0o700)
        shutil.rmtree(root)
