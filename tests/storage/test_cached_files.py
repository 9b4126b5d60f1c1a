"""Files that are dropped from the page cache, and what the kernel counts of them then."""

from __future__ import annotations

import os
from pathlib import Path

from mlpstorage_bench.storage.cached_files import drop_files
from mlpstorage_bench.storage.page_counts import count_pages
from mlpstorage_bench.units import MIB


def cached_pages(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR)
    try:
        return count_pages(descriptor, path.stat().st_size).cached
    finally:
        os.close(descriptor)


def test_pages_of_written_files_are_dropped(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("one", "two")]
    for path in paths:
        path.write_bytes(os.urandom(MIB))
    assert all(cached_pages(path) for path in paths)
    dropped = drop_files(paths)
    assert dropped.problem == ""
    assert dropped.left_pages == sum(cached_pages(path) for path in paths)


def test_an_empty_file_has_no_pages(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert drop_files([tmp_path / "empty"]).left_pages == 0


def test_a_missing_file_is_a_problem_and_no_count(tmp_path: Path) -> None:
    dropped = drop_files([tmp_path / "missing"])
    assert dropped.left_pages is None
    assert "missing: No such file" in dropped.problem
