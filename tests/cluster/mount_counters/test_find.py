"""Choice of sources for a mount."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.cluster.filesystems import parse_mountinfo
from mlpstorage_bench.cluster.mount_counters.find import MountSources, find_sources
from tests.cluster.mount_counters.test_interfaces import DEV


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "self" / "net").mkdir(parents=True)
    (tmp_path / "self" / "net" / "dev").write_text(DEV)
    return tmp_path


def sources_of(root: Path, fstype: str, source: str) -> MountSources | None:
    [entry] = parse_mountinfo(f"41 1 0:50 / /mnt rw - {fstype} {source} rw\n")
    return find_sources(entry, root, root)


def names(found: MountSources | None) -> list[tuple[str, str]]:
    assert found is not None
    return [(one.source.name, one.source.strength) for one in found.sources]


@pytest.mark.parametrize("fstype", ["ext4", "tmpfs", "zfs", "fuse.bindfs", "fuse.unknown"])
def test_local_and_unknown_filesystems_have_none(root: Path, fstype: str) -> None:
    assert sources_of(root, fstype, "pool") is None


@pytest.mark.parametrize("fstype", ["9p", "fuse.daos", "gpfs", "virtiofs", "wekafs"])
def test_filesystem_that_may_use_no_interface_has_a_reason(root: Path, fstype: str) -> None:
    found = sources_of(root, fstype, "198.51.100.7/fs")
    assert names(found) == []
    assert found is not None
    assert found.reason == (
        f"{fstype} has no counters that are known, and may not use the interfaces that this "
        "host's kernel counts"
    )


def test_nfs_has_an_exact_source_before_the_bound(root: Path) -> None:
    assert names(sources_of(root, "nfs4", "198.51.100.7:/export")) == [
        ("the NFS mount /mnt", "exact"),
        ("the network interfaces but loopback", "bound"),
    ]


@pytest.mark.parametrize(
    ("fstype", "source", "name"),
    [
        ("fuse.sshfs", "198.51.100.7:/a", "the network interfaces but loopback"),
        ("fuse.sshfs", "127.0.0.1:/a", "all network interfaces"),
        ("fuse.sshfs", "no-such-alias.invalid:/a", "all network interfaces"),
        ("beegfs", "beegfs_nodev", "all network interfaces"),
    ],
)
def test_loopback_counts_unless_one_server_is_another_host(
    root: Path, fstype: str, source: str, name: str
) -> None:
    found = sources_of(root, fstype, source)
    assert names(found) == [(name, "bound")]
    assert found is not None
    assert found.reason == ""


@pytest.mark.parametrize(
    ("fstype", "source", "reason"),
    [
        ("lustre", "10.0.0.1@tcp:/scratch", "no connection of scratch has statistics"),
        ("ceph", "10.0.0.1:6789:/", "kernel/debug/ceph cannot be read by this user"),
        ("cifs", "//198.51.100.7/kv", "fs/cifs/Stats cannot be read by this user"),
    ],
)
def test_counters_that_cannot_be_read_are_named_beside_the_bound(
    root: Path, fstype: str, source: str, reason: str
) -> None:
    found = sources_of(root, fstype, source)
    assert [strength for _, strength in names(found)] == ["bound"]
    assert found is not None
    assert reason in found.reason


def test_host_without_any_counter_has_a_reason(root: Path) -> None:
    (root / "self" / "net" / "dev").unlink()
    found = sources_of(root, "fuse.sshfs", "127.0.0.1:/a")
    assert found is not None
    assert found.sources == ()
    assert "net/dev cannot be read" in found.reason
