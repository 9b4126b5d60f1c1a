"""Devices under files, by trees of /sys and mountinfo that the tests write."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlpstorage_bench.cluster.device_stack import find_underlying
from mlpstorage_bench.measure.device import BlockDevice, Underlying
from tests.cluster.fake_sysfs import FakeSysfs

SDA, SDB = BlockDevice("8:0", "sda"), BlockDevice("8:16", "sdb")


@pytest.fixture
def sysfs(tmp_path: Path) -> FakeSysfs:
    return FakeSysfs(tmp_path / "sys")


def number_of(directory: Path) -> str:
    device = directory.stat().st_dev
    return f"{os.major(device)}:{os.minor(device)}"


@pytest.fixture
def number(tmp_path: Path) -> str:
    """The number of the device under the temporary directory, which a tree gives to its own."""
    return number_of(tmp_path)


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A directory on another filesystem, whose number is in no tree."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def mounted(proc: Path, fstype: str, source: str, options: str = "rw") -> Path:
    """Write a mountinfo whose only mount is the root, and return its proc."""
    (proc / "self").mkdir(parents=True)
    line = f"1 0 0:50 / / rw - {fstype} {source} {options}\n"
    (proc / "self" / "mountinfo").write_text(line)
    return proc


def underlying(directory: Path, sysfs: FakeSysfs) -> Underlying:
    return find_underlying(directory, sysfs.root / "no proc", sysfs.root)


def test_disk_and_partition_lie_on_themselves(
    sysfs: FakeSysfs, tmp_path: Path, number: str
) -> None:
    disk = sysfs.add_disk("sda", "8:0")
    sysfs.add_partition(disk, "sda1", number)
    assert underlying(tmp_path, sysfs) == Underlying((BlockDevice(number, "sda1"),))


def test_volume_lies_on_the_disks_of_its_raid(
    sysfs: FakeSysfs, tmp_path: Path, number: str
) -> None:
    disk, other = sysfs.add_disk("sda", "8:0"), sysfs.add_disk("sdb", "8:16")
    part = sysfs.add_partition(other, "sdb1", "8:17")
    array = sysfs.add_volume("md0", "9:0", disk, part)
    sysfs.add_volume("dm-0", number, array)
    assert underlying(tmp_path, sysfs) == Underlying((SDA, BlockDevice("8:17", "sdb1")))


def test_partition_of_a_raid_lies_on_its_disks(
    sysfs: FakeSysfs, tmp_path: Path, number: str
) -> None:
    array = sysfs.add_volume("md0", "9:0", sysfs.add_disk("sda", "8:0"))
    sysfs.add_partition(array, "md0p1", number)
    assert underlying(tmp_path, sysfs) == Underlying((SDA,))


def test_disk_under_two_slaves_counts_once(sysfs: FakeSysfs, tmp_path: Path, number: str) -> None:
    disk = sysfs.add_disk("sda", "8:0")
    first, second = (sysfs.add_volume(f"dm-{n}", f"253:{n}", disk) for n in (1, 2))
    sysfs.add_volume("dm-0", number, first, second)
    assert underlying(tmp_path, sysfs) == Underlying((SDA,))


def test_network_block_device_is_the_last_of_this_host(
    sysfs: FakeSysfs, tmp_path: Path, number: str
) -> None:
    sysfs.add_disk("nbd0", number)
    assert underlying(tmp_path, sysfs) == Underlying((BlockDevice(number, "nbd0"),))


@pytest.mark.parametrize(
    ("name", "model", "how"),
    [
        ("zram0", "", "zram0 keeps its data compressed in memory"),
        ("ram0", "", "ram0 is a RAM disk"),
        ("nullb0", "", "nullb0 is null_blk, which has no medium"),
        ("sdc", "scsi_debug", "sdc is scsi_debug, which is memory"),
    ],
)
def test_disk_in_memory_is_said_to_be(
    sysfs: FakeSysfs, tmp_path: Path, number: str, name: str, model: str, how: str
) -> None:
    memory = sysfs.add_disk(name, "251:0", model=model)
    sysfs.add_volume("dm-0", number, memory, sysfs.add_disk("sda", "8:0"))
    assert underlying(tmp_path, sysfs) == Underlying((SDA,), memory=how)


def test_loop_device_lies_on_the_device_of_its_file(
    sysfs: FakeSysfs, tmp_path: Path, number: str, elsewhere: Path
) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(2048 * 512))
    sysfs.add_disk("sda", number)
    loop = sysfs.add_disk("loop0", number_of(elsewhere))
    (loop / "loop").mkdir()
    (loop / "loop" / "backing_file").write_text(f"{image}\n")
    assert underlying(elsewhere, sysfs) == Underlying((BlockDevice(number, "sda"),))
    image.write_bytes(b"another file, in another container")
    unknown = f"loop0 lies on {image}, which is not the file of this name here"
    assert underlying(elsewhere, sysfs) == Underlying(unknown=unknown)


def test_daemon_that_shows_another_directory_lies_on_that(
    sysfs: FakeSysfs, tmp_path: Path, number: str, elsewhere: Path
) -> None:
    sysfs.add_disk("sda", number)
    proc = mounted(sysfs.root / "proc", "fuse.bindfs", str(tmp_path))
    found = find_underlying(elsewhere, proc, sysfs.root)
    assert found == Underlying((BlockDevice(number, "sda"),))


@pytest.mark.parametrize("source", ["server:/data", "/dev/fuse", "/none", "/", "/dev/shm"])
def test_other_daemons_show_no_device(sysfs: FakeSysfs, elsewhere: Path, source: str) -> None:
    proc = mounted(sysfs.root / "proc", "fuse.sshfs", source)
    found = find_underlying(elsewhere, proc, sysfs.root)
    assert found == Underlying(unknown=f"{elsewhere} is on fuse.sshfs, which shows no device")


def test_loop_device_whose_file_is_not_here_is_not_followed(
    sysfs: FakeSysfs, tmp_path: Path, number: str
) -> None:
    loop = sysfs.add_disk("loop0", number)
    (loop / "loop").mkdir()
    (loop / "loop" / "backing_file").write_text("/gone/image (deleted)\n")
    found = underlying(tmp_path, sysfs)
    assert not found.devices
    assert found.unknown.startswith("loop0 lies on /gone/image (deleted): ")


def test_btrfs_lies_on_all_its_devices(sysfs: FakeSysfs, elsewhere: Path) -> None:
    first, second = sysfs.add_disk("sda", "8:0"), sysfs.add_disk("sdb", "8:16")
    devices = sysfs.root / "fs" / "btrfs" / "1-2-3" / "devices"
    devices.mkdir(parents=True)
    for disk in (first, second):
        (devices / disk.name).symlink_to(disk)
    proc = mounted(sysfs.root / "proc", "btrfs", "/dev/sda")
    assert find_underlying(elsewhere, proc, sysfs.root) == Underlying((SDA, SDB))


def test_overlay_lies_where_its_upper_directory_does(
    sysfs: FakeSysfs, tmp_path: Path, number: str, elsewhere: Path
) -> None:
    sysfs.add_disk("sda", number)
    options = f"rw,lowerdir=/lower,upperdir={tmp_path},workdir=/work"
    proc = mounted(sysfs.root / "proc", "overlay", "overlay", options)
    found = find_underlying(elsewhere, proc, sysfs.root)
    assert found == Underlying((BlockDevice(number, "sda"),))


@pytest.mark.parametrize("fstype", ["tmpfs", "ramfs", "hugetlbfs"])
def test_filesystem_in_memory_is_said_to_be(sysfs: FakeSysfs, elsewhere: Path, fstype: str) -> None:
    proc = mounted(sysfs.root / "proc", fstype, "none")
    found = find_underlying(elsewhere, proc, sysfs.root)
    assert found == Underlying(memory=f"{elsewhere} is on {fstype}, which keeps files in memory")


def test_network_filesystem_shows_no_device(sysfs: FakeSysfs, elsewhere: Path) -> None:
    proc = mounted(sysfs.root / "proc", "nfs4", "server:/export")
    found = find_underlying(elsewhere, proc, sysfs.root)
    assert found == Underlying(unknown=f"{elsewhere} is on nfs4, which shows no device")


def test_disk_without_statistics_is_unknown(sysfs: FakeSysfs, tmp_path: Path, number: str) -> None:
    disk = sysfs.add_disk("sda", number, model="PERC H755")
    (disk / "queue" / "iostats").write_text("0\n")
    found = underlying(tmp_path, sysfs)
    assert found == Underlying(unknown="sda does not count (queue/iostats is 0)")


def test_slaves_in_a_circle_end(sysfs: FakeSysfs, tmp_path: Path, number: str) -> None:
    first = sysfs.add_volume("dm-0", number)
    second = sysfs.add_volume("dm-1", "253:1", first)
    (first / "slaves" / "dm-1").symlink_to(second)
    (second / "slaves" / "sdz").symlink_to(second / "slaves" / "sdz")
    found = underlying(tmp_path, sysfs)
    assert found == Underlying(unknown="sdz cannot be looked at")


def test_missing_directory_is_unknown(tmp_path: Path) -> None:
    assert "cannot be looked at" in find_underlying(tmp_path / "none").unknown
