from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlpstorage_bench.cluster.separation import separation

MEMORY = Path("/dev/shm")


def test_directories_of_one_filesystem_are_not_separate(tmp_path: Path) -> None:
    found = separation("here", tmp_path / "cache", tmp_path / "not" / "yet")
    assert found.same_filesystem
    assert found.cache.device_number == found.results.device_number == tmp_path.stat().st_dev
    assert (found.cache.fstype, found.cache.device) == (found.results.fstype, found.results.device)


def test_directory_in_memory_is_separate(tmp_path: Path) -> None:
    found = separation("here", tmp_path / "cache", MEMORY / "results")
    assert not found.same_filesystem
    assert found.results.fstype == "tmpfs"


def test_filesystems_of_one_name_are_separate(mount: Callable[[str, str], Path]) -> None:
    """Every tmpfs has the device `tmpfs` or `none`."""
    other = mount("tmpfs", "size=64k")
    found = separation("here", MEMORY, other)
    assert not found.same_filesystem
    assert found.results.mount_point == str(other)
