from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.cluster.filesystems import (
    Mount,
    describe_cache_filesystem,
    entry_of,
    list_mounts,
    parse_mountinfo,
    read_mountinfo,
)

# --- this machine's mounts ---


def test_cache_filesystem_is_the_directorys_own(tmp_path: Path) -> None:
    filesystem = describe_cache_filesystem(tmp_path)
    space = os.statvfs(tmp_path)
    assert filesystem.total_bytes == space.f_blocks * space.f_frsize
    assert filesystem.mount_point is not None
    assert Path(filesystem.mount_point).stat().st_dev == tmp_path.stat().st_dev
    assert filesystem.path == str(tmp_path.resolve())


def test_missing_cache_directory_has_its_ancestors_filesystem(
    tmp_path: Path,
) -> None:
    planned, existing = (
        describe_cache_filesystem(path) for path in (tmp_path / "not" / "yet", tmp_path)
    )
    assert (planned.mount_point, planned.device, planned.total_bytes) == (
        existing.mount_point,
        existing.device,
        existing.total_bytes,
    )


def test_cache_filesystem_resolves_symbolic_links(tmp_path: Path) -> None:
    shared_memory = Path("/dev/shm")
    if not os.path.ismount(shared_memory):
        pytest.skip("no /dev/shm here")
    link = tmp_path / "cache"
    link.symlink_to(shared_memory)
    filesystem = describe_cache_filesystem(link)
    assert (filesystem.fstype, filesystem.model) == ("tmpfs", None)


def test_existing_path_keeps_symbolic_links(
    tmp_path: Path,
) -> None:
    (tmp_path / "local").mkdir()
    scratch = tmp_path / "scratch"
    scratch.symlink_to(tmp_path / "local")
    assert describe_cache_filesystem(scratch / "cache" / "new").existing == str(scratch)
    (tmp_path / "local").rmdir()
    assert describe_cache_filesystem(scratch / "cache").existing == str(tmp_path)


def test_each_mount_point_resolves_to_its_mount() -> None:
    entries = read_mountinfo()
    for mount in list_mounts(entries):
        found = entry_of(Path(mount.mount_point), entries)
        assert found is not None
        assert found.mount == mount
        if mount.fstype in {"ext4", "xfs"}:  # other filesystems number files and mounts differently
            device = Path(mount.mount_point).stat().st_dev
            assert found.device_number == f"{os.major(device)}:{os.minor(device)}"


# --- mountinfo ---

ROOT = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard"


def _mount_of(path: str, *lines: str) -> Mount | None:
    entry = entry_of(Path(path), parse_mountinfo("\n".join([ROOT, *lines])))
    return entry.mount if entry else None


def test_mountinfo_escapes_are_decoded() -> None:
    line = r"40 27 8:1 / /mnt/my\040disk\011a\134b rw shared:5 master:2 - xfs /dev/my\040disk rw"
    assert _mount_of("/mnt/my disk\ta\\b/cache", line) == Mount(
        "/mnt/my disk\ta\\b", "xfs", "/dev/my disk"
    )


def test_empty_device_is_parsed_as_a_field() -> None:
    assert _mount_of("/mnt", "40 27 0:9 / /mnt rw - tmpfs  rw") == Mount("/mnt", "tmpfs", "")


def test_longest_mount_point_of_whole_names_matches() -> None:
    lines = [
        "40 27 8:1 / /data rw - xfs /dev/sda rw",
        "41 40 8:2 / /data/cache rw - ext4 /dev/sdb rw",
    ]
    devices = {
        path: mount.device
        for path in ("/", "/data", "/data/cache/rank_0", "/data/cached", "/database")
        if (mount := _mount_of(path, *lines))
    }
    assert devices == {
        "/": "/dev/vda",
        "/data": "/dev/sda",
        "/data/cache/rank_0": "/dev/sdb",
        "/data/cached": "/dev/sda",
        "/database": "/dev/vda",
    }


def test_later_mount_at_the_same_point_matches() -> None:
    lines = [
        "40 27 8:1 / /data rw - xfs /dev/sda rw",
        "41 40 8:2 / /data rw - ext4 /dev/sdb rw",
    ]
    assert _mount_of("/data", *lines) == Mount("/data", "ext4", "/dev/sdb")


def test_later_mount_hides_mounts_below_it() -> None:
    lines = [
        "40 27 8:1 / /data/cache rw - xfs /dev/sda rw",
        "41 27 8:2 / /data rw - ext4 /dev/sdb rw",
    ]
    assert _mount_of("/data/cache", *lines) == Mount("/data", "ext4", "/dev/sdb")
    visible = list_mounts(parse_mountinfo("\n".join([ROOT, *lines])))
    assert [mount.mount_point for mount in visible] == ["/", "/data"]


def test_root_listed_after_its_mounts_is_found() -> None:
    entries = parse_mountinfo(f"22 27 8:1 / /data rw - xfs /dev/sda rw\n{ROOT}\n")
    entry = entry_of(Path("/data/cache"), entries)
    assert entry is not None
    assert entry.mount.device == "/dev/sda"


def test_mounts_are_found_without_a_root_mount() -> None:
    entries = parse_mountinfo("22 9 8:1 / /data rw - xfs /dev/sda rw\n")
    assert entry_of(Path("/home"), entries) is None
    assert entry_of(Path("/data"), entries) == entries[0]


def test_kernel_interfaces_are_not_listed_as_mounts() -> None:
    lines = [
        "22 27 0:21 / /proc rw - proc proc rw",
        "23 27 0:22 / /sys rw - sysfs sysfs rw",
        "24 23 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
        "25 27 0:24 / /dev/pts rw - devpts devpts rw",
        "26 27 0:25 / /run rw - tmpfs tmpfs rw",
    ]
    visible = list_mounts(parse_mountinfo("\n".join([ROOT, *lines])))
    assert [mount.mount_point for mount in visible] == ["/", "/run"]


def test_mount_options_are_unique_without_addresses_and_accounts() -> None:
    (entry,) = parse_mountinfo(
        "40 27 0:50 / /nfs rw,relatime - nfs4 filer:/kv "
        "rw,vers=4.2,rsize=1048576,addr=192.0.2.1,clientaddr=192.0.2.2"
    )
    assert entry.options == ("rw", "relatime", "vers=4.2", "rsize=1048576")


def _escape(text: str) -> str:
    return "".join(f"\\{ord(c):03o}" if c in " \t\n\\#" else c for c in text)


names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20
).filter(lambda name: name not in {".", ".."})


@pytest.mark.slow
@given(st.lists(names, min_size=1, max_size=4), names)
def test_any_mount_point_is_parsed_from_mountinfo(parts: list[str], device: str) -> None:
    mount_point = "/" + "/".join(parts)
    line = f"40 27 8:1 / {_escape(mount_point)} rw - xfs {_escape(device)} rw"
    assert _mount_of(f"{mount_point}/below", line) == Mount(mount_point, "xfs", device)
