"""Checks of the cache directory, in real directories."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlpstorage_bench.cluster import integrity
from mlpstorage_bench.cluster.filesystems import Mount, MountEntry, describe_cache_filesystem
from mlpstorage_bench.doctor import storage
from mlpstorage_bench.doctor.storage import check_storage
from mlpstorage_bench.storage.direct_io import DirectIo
from mlpstorage_bench.storage.page_cache_probe import FlushState, PageCacheStates

SUBJECTS = ["cache directory", "direct I/O", "uncached I/O", "flushes", "audit"]


@pytest.mark.starts_process
def test_checks_leave_no_file_and_no_directory(tmp_path: Path) -> None:
    found = list(check_storage(tmp_path / "cache"))
    assert [one.subject for one in found] == SUBJECTS
    assert found[0].seen.startswith(f"{tmp_path / 'cache'}: ")
    assert list(tmp_path.iterdir()) == []


def test_directory_that_cannot_be_used_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    found = list(check_storage(tmp_path / "cache"))
    assert [one.subject for one in found] == SUBJECTS
    assert [one.status for one in found] == ["problem", "note", "note", "note", "note"]
    assert f"{tmp_path / 'cache'} is a file" in found[0].seen


def test_system_disk_and_memory_are_noted(tmp_path: Path) -> None:
    here = describe_cache_filesystem(tmp_path)
    array = replace(here, mount_point="/mnt/array", fstype="xfs", device="/dev/sdb")
    cases = {
        "ok": storage._place(array, can_be_replaced=False),
        "system": storage._place(replace(array, mount_point="/"), can_be_replaced=False),
        "memory": storage._place(replace(array, fstype="tmpfs"), can_be_replaced=False),
        "shared": storage._place(array, can_be_replaced=True),
    }
    assert [one.status for one in cases.values()] == ["ok", "note", "note", "note"]
    assert "mounted at /: the filesystem of the operating" in cases["system"].seen
    assert "in memory" in cases["memory"].advice
    assert "Other users" in cases["shared"].advice


def test_direct_io_of_a_filesystem_in_memory_bypasses_nothing(tmp_path: Path) -> None:
    here = replace(describe_cache_filesystem(tmp_path), fstype="tmpfs")
    found = storage._direct_io(DirectIo(4096, ""), here)
    assert (found.status, found.seen) == ("note", "tmpfs accepts it without effect")


def test_missing_direct_io_is_noted_with_its_reason(tmp_path: Path) -> None:
    here = describe_cache_filesystem(tmp_path)
    found = storage._direct_io(DirectIo(None, "opening a file with O_DIRECT: EINVAL"), here)
    assert found.status == "note"
    assert "opening a file with O_DIRECT: EINVAL" in found.seen


@pytest.mark.parametrize(
    ("refusal", "seen"),
    [
        ("", "files can move through the page cache without staying in it"),
        ("pwritev: no", "none (pwritev: no); only io_mode=uncached needs it"),
    ],
)
def test_uncached_transfers_need_not_be_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: str, seen: str
) -> None:
    monkeypatch.setattr(storage, "uncached_refusal", lambda _: refusal)
    found = storage._uncached_io(tmp_path)
    assert (found.status, found.seen) == ("ok", seen)


@pytest.mark.parametrize(
    ("unwritten", "status"), [((9, 0), "ok"), ((9, 4), "problem"), ((0, 0), "note")]
)
def test_flush_that_leaves_pages_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unwritten: tuple[int, int], status: str
) -> None:
    states = PageCacheStates(9, "cachestat", (FlushState("fsync", *unwritten, None),), 9, 0)
    monkeypatch.setattr(storage, "probe_page_cache", lambda *_arguments: states)
    disk = MountEntry(1, 0, "8:1", Mount("/mnt/array", "xfs", "/dev/sdb"), ())
    monkeypatch.setattr(integrity, "mounts_under", lambda *_arguments: (disk,))
    found = storage._flushes(tmp_path, is_buffered=False)
    assert found.status == status
    if status == "problem":
        assert "4 of 9 pages are still to be written after fsync" in found.seen
