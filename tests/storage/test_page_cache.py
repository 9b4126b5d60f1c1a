"""Buffered mode leaves no written page in the page cache."""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.files import FileIo
from tests.lanes import LoneLane

LAYOUTS = ["entry", "block", "slab"]
SIZE = 4 << 20


def resident_pages(folder: Path) -> int:
    """Return the number of pages of a folder's files in the page cache (mincore(2))."""
    found = 0
    for path in folder.rglob("*"):
        size = path.stat().st_size
        if not path.is_file() or not size:
            continue
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as pages:
            marks = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
            view = np.frombuffer(pages, dtype=np.uint8)
            begin, length = ctypes.c_void_p(view.ctypes.data), ctypes.c_size_t(size)
            assert ctypes.CDLL(None).mincore(begin, length, marks) == 0
            del view
            found += sum(mark & 1 for mark in marks)
    return found


def write_without_store(folder: Path, *, drops: bool) -> Path:
    path = folder / "by-hand"
    path.write_bytes(bytes(SIZE))
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    if drops:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["buffered", "written back"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_written_entry_leaves_no_page_in_the_cache(
    tmp_path: Path, store_of: Any, lane: LoneLane, observer_class: Any, layout: str, mode: str
) -> None:
    write_without_store(tmp_path, drops=False)
    assert resident_pages(tmp_path) == SIZE // mmap.PAGESIZE
    write_without_store(tmp_path, drops=True)
    if resident_pages(tmp_path):
        pytest.skip("this filesystem keeps its pages, as memory does")
    store = store_of(f"{layout}, {mode}", tmp_path)
    lane.write(store, "entry", SIZE, observer_class())
    assert resident_pages(tmp_path) == 0
    store.delete("entry")
    store.close()


@pytest.mark.parametrize("mode", ["buffered", "written back"])
def test_written_slots_leave_pages_of_other_slots_in_the_cache(
    tmp_path: Path, store_of: Any, lane: LoneLane, observer_class: Any, mode: str
) -> None:
    """Another lane may be reading these, and would have to read them again."""
    store = store_of(f"slab, {mode}", tmp_path)
    read = lane.write(store, "read", SIZE, observer_class())
    lane.read(store, read, observer_class())
    before = resident_pages(tmp_path)
    assert before >= SIZE // mmap.PAGESIZE
    lane.write(store, "written", SIZE, observer_class())
    assert resident_pages(tmp_path) > before / 2  # the kernel may need some of them
    store.close()


def test_entry_whose_pages_are_kept_is_served_from_the_cache(
    tmp_path: Path, lane: LoneLane, observer_class: Any
) -> None:
    store = EntryFiles(tmp_path, FileIo("buffered", keeps_pages=True))
    entry = lane.write(store, "entry", SIZE, observer_class())
    assert resident_pages(tmp_path) == SIZE // mmap.PAGESIZE
    lane.read(store, entry, observer_class())
    assert resident_pages(tmp_path) == SIZE // mmap.PAGESIZE
