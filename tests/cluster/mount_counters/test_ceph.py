"""Counters of CephFS, on samples in the two forms that the kernel's client has had."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.cluster.filesystems import Mount
from mlpstorage_bench.cluster.mount_counters.ceph import ceph_source, object_bytes
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.source import SourceFiles

SIZES = """\
item          total       avg_sz(bytes)   min_sz(bytes)   max_sz(bytes)  total_sz(bytes)
----------------------------------------------------------------------------------------
read          7           4194304         4194304         4194304        29360128
write         5           4194304         4194304         4194304        20971520
copyfrom      1           1048576         1048576         1048576        1048576
"""
OF_OLDER_KERNEL = f"""\
item          total       avg_lat(us)     min_lat(us)     max_lat(us)     stdev(us)
-----------------------------------------------------------------------------------
read          7           512             231             1231            112
write         5           914013          824797          1092343         103476
metadata      79          12856           1572            114572          13262

{SIZES}
item          total           miss            hit
-------------------------------------------------
d_lease       11              0               29
caps          5               68              10702
"""
MOUNT = Mount("/", "ceph", "mon.example:6789:/")


@pytest.mark.parametrize("text", [SIZES, OF_OLDER_KERNEL])
def test_bytes_of_objects_are_in_the_table_of_sizes(text: str) -> None:
    assert object_bytes(text) == Traffic(29360128, 20971520)


def test_text_without_the_table_shows_nothing() -> None:
    assert object_bytes(OF_OLDER_KERNEL.partition("item          total       avg_sz")[0]) is None
    assert object_bytes("") is None


@pytest.mark.parametrize("name", ["metrics/size", "metrics"])
def test_only_client_of_a_host_is_the_mount(tmp_path: Path, name: str) -> None:
    path = tmp_path / "kernel/debug/ceph/5d1a2f1e-0c1e-4a55-9a36-000000000001.client4123" / name
    path.parent.mkdir(parents=True)
    path.write_text(SIZES)
    source = ceph_source(MOUNT, tmp_path)
    assert isinstance(source, SourceFiles)
    assert source.files == (str(path),)
    assert source.parse([SIZES]) == Traffic(29360128, 20971520)


def test_absent_debugfs_has_a_reason(tmp_path: Path) -> None:
    directory = tmp_path / "kernel" / "debug" / "ceph"
    assert ceph_source(MOUNT, tmp_path) == (
        f"{directory} cannot be read by this user (No such file or directory)"
    )


def test_counters_that_only_root_can_read_have_a_reason(debugfs_of_root: Path) -> None:
    assert ceph_source(MOUNT, debugfs_of_root.parents[1]) == (
        f"{debugfs_of_root}/ceph cannot be read by this user (Permission denied)"
    )


def test_several_clients_without_names_have_a_reason(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"kernel/debug/ceph/cluster.client{number}/metrics").mkdir(parents=True)
    found = ceph_source(MOUNT, tmp_path)
    assert isinstance(found, str)
    assert "several clients" in found
