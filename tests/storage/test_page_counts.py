"""Pages of a file in the page cache, counted by the kernel."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlpstorage_bench.storage import page_counts
from mlpstorage_bench.storage.page_counts import PageCounts, count_pages

PAGES = 64
SIZE = PAGES * mmap.PAGESIZE
NO_CALL = 1 << 20
"""Number of no system call: the kernel answers ENOSYS."""
Mount = Callable[[str, str], Path]


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    """A file of new pages, open for reading and writing."""
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.pwrite(opened, os.urandom(SIZE), 0)
    yield opened
    os.close(opened)


def counted(descriptor: int, counter: str) -> PageCounts:
    found = count_pages(descriptor, SIZE)
    if found.counted_by != counter:
        pytest.skip("needs a kernel with cachestat (Linux 6.5)")
    return found


def test_pages_are_cached_after_a_write_and_clean_after_a_flush(descriptor: int) -> None:
    assert counted(descriptor, "cachestat").cached == PAGES
    os.fsync(descriptor)
    assert counted(descriptor, "cachestat") == PageCounts(PAGES, 0, "cachestat")


def test_dropped_pages_are_not_counted(descriptor: int) -> None:
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    left = count_pages(descriptor, SIZE)
    if left.cached == PAGES:
        pytest.skip("this filesystem keeps files in memory")
    assert left.cached == 0


def test_older_kernel_counts_cached_pages_alone(
    descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_counts, "_CACHESTAT", NO_CALL)
    assert count_pages(descriptor, SIZE) == PageCounts(PAGES, None, "mincore")
    assert count_pages(descriptor, SIZE).cached == PAGES, "counting loads and drops no page"


def test_pages_of_tmpfs_are_cached_and_never_dirty(mount: Mount) -> None:
    opened = os.open(mount("tmpfs", "size=8m") / "file", os.O_RDWR | os.O_CREAT)
    try:
        os.pwrite(opened, os.urandom(SIZE), 0)
        assert counted(opened, "cachestat") == PageCounts(PAGES, 0, "cachestat")
    finally:
        os.close(opened)


def test_file_that_no_call_counts_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_counts, "_CACHESTAT", NO_CALL)
    read, write = os.pipe()
    try:
        with pytest.raises(OSError, match="Permission denied"):
            count_pages(read, SIZE)
    finally:
        os.close(read)
        os.close(write)
