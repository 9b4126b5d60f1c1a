"""Fixtures of the studies: a working directory on the storage under test, and its I/O mode."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.storage.directory import check_cache_dir
from mlpstorage_bench.storage.files import IoMode


@pytest.fixture
def study_dir(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A new directory in --mlps-cache-dir, removed after the test."""
    cache_dir = Path(request.config.getoption("--mlps-cache-dir") or "mlps-cache")
    check_cache_dir(cache_dir)
    is_new = not cache_dir.exists()
    cache_dir.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="study-", dir=cache_dir)).resolve()
    yield directory
    shutil.rmtree(directory)
    if is_new:
        cache_dir.rmdir()


@pytest.fixture
def io_mode(study_dir: Path) -> IoMode:
    """Direct if the directory supports it, else buffered."""
    return "direct" if probe_direct_io(study_dir).is_available else "buffered"
