from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from mlpstorage_bench.cluster.disks import Disk, device_model, list_disks
from tests.cluster.fake_sysfs import FakeSysfs


@pytest.fixture
def sysfs(tmp_path: Path) -> FakeSysfs:
    return FakeSysfs(tmp_path / "sys")


def test_disk_has_model_size_and_counters(sysfs: FakeSysfs, tmp_path: Path) -> None:
    sysfs.add_disk("nvme0n1", "259:0", model="SAMSUNG MZQL2", sectors=7_501_476_528)
    counters = " 259       0 nvme0n1 10 0 800 5 20 0 1600 9 0 1 2 0 0 0 0 0 0\n"
    (tmp_path / "diskstats").write_text(counters)
    expected = Disk(
        name="nvme0n1",
        model="SAMSUNG MZQL2",
        size_bytes=7_501_476_528 * 512,
        rotational=False,
        read_bytes=800 * 512,
        write_bytes=1600 * 512,
    )
    assert list_disks(tmp_path, sysfs.root) == (expected,)


def test_unknown_disk_facts_are_none(sysfs: FakeSysfs, tmp_path: Path) -> None:
    sysfs.add_disk("vda", "254:0")
    assert list_disks(tmp_path, sysfs.root) == (Disk("vda", None, 2048 * 512, None, None, None),)


def test_drive_without_medium_is_omitted(sysfs: FakeSysfs, tmp_path: Path) -> None:
    sysfs.add_disk("loop0", "7:0", sectors=0)
    assert list_disks(tmp_path, sysfs.root) == ()


def test_hidden_multipath_device_is_omitted(sysfs: FakeSysfs, tmp_path: Path) -> None:
    (sysfs.add_disk("nvme0c0n1", "259:1") / "hidden").write_text("1\n")
    assert list_disks(tmp_path, sysfs.root) == ()


def test_disk_counters_equal_psutils() -> None:
    disks = list_disks()
    if not disks or not Path("/proc/diskstats").exists():
        pytest.skip("this machine shows no disks")
    counters = psutil.disk_io_counters(perdisk=True)
    for disk in disks:
        assert disk.read_bytes is not None
        assert disk.write_bytes is not None
        assert disk.read_bytes <= counters[disk.name].read_bytes
        assert disk.write_bytes <= counters[disk.name].write_bytes


def test_device_model_of_partition_is_its_disks(sysfs: FakeSysfs) -> None:
    disk = sysfs.add_disk("sda", "8:0", model="PERC H755")
    sysfs.add_partition(disk, "sda1", "8:1")
    assert device_model("8:0", "/dev/sda", sysfs.root) == "PERC H755"
    assert device_model("8:1", "/dev/sda1", sysfs.root) == "PERC H755"


def test_device_model_without_device_number_uses_source(sysfs: FakeSysfs) -> None:
    disk = sysfs.add_disk("sda", "8:0", model="PERC H755")
    sysfs.add_partition(disk, "sda1", "8:1")
    assert device_model("0:35", "/dev/sda1", sysfs.root) == "PERC H755"


def test_device_model_of_volume_joins_its_disks(sysfs: FakeSysfs) -> None:
    first = sysfs.add_disk("sda", "8:0", model="PM9A3")
    second = sysfs.add_disk("sdb", "8:16", model="PM9A3")
    third = sysfs.add_disk("sdc", "8:32", model="CD8")
    mirror = sysfs.add_volume("md0", "9:0", sysfs.add_partition(first, "sda1", "8:1"), second)
    sysfs.add_volume("dm-0", "253:0", mirror)
    sysfs.add_volume("dm-1", "253:1", mirror, third)
    assert device_model("253:0", "/dev/mapper/data", sysfs.root) == "PM9A3"
    assert device_model("253:1", "/dev/mapper/both", sysfs.root) == "CD8 + PM9A3"


def test_device_model_of_volume_with_unknown_disk_is_none(sysfs: FakeSysfs) -> None:
    known = sysfs.add_disk("sda", "8:0", model="PM9A3")
    unknown = sysfs.add_disk("vda", "254:0")
    sysfs.add_volume("dm-0", "253:0", known, unknown)
    assert device_model("253:0", "/dev/mapper/data", sysfs.root) is None


@pytest.mark.parametrize("source", ["filer:/export", "tmpfs", "overlay", "/dev/missing", ""])
def test_device_model_without_local_disk_is_none(sysfs: FakeSysfs, source: str) -> None:
    assert device_model("0:50", source, sysfs.root) is None
