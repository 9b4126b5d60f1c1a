"""Devices at the bottom of filesystems and devices that lie on others.

A mapped device or RAID (dm, md) lies on its slaves, a loop device on a file, overlayfs on its upper
directory, btrfs on all its devices, a filesystem of FUSE on the directory that it mounts again. A
RAM disk is memory, as is tmpfs.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from mlpstorage_bench.cluster.disks import PROC, SYS, read_fact
from mlpstorage_bench.cluster.filesystems import MountEntry, entry_of, read_mountinfo
from mlpstorage_bench.measure.device import BlockDevice, Underlying

_MEMORY_FILESYSTEMS = frozenset({"devtmpfs", "hugetlbfs", "ramfs", "tmpfs"})
_MEMORY_DEVICES = (
    (re.compile(r"zram\d+"), "keeps its data compressed in memory"),
    (re.compile(r"ram\d+"), "is a RAM disk"),
    (re.compile(r"nullb\d+"), "is null_blk, which has no medium"),
)
_SECTOR_BYTES = 512
"""Unit of a device's size in sysfs."""
_MEMORY_MODELS = frozenset({"scsi_debug"})
"""Models of disks that a module of the kernel keeps in memory."""


def find_underlying(directory: Path, proc: Path = PROC, sysfs: Path = SYS) -> Underlying:
    """Return what a directory's files lie on at last.

    `proc` and `sysfs` are the mount points of the kernel's filesystems.
    """
    return _Follower(proc, sysfs).follow_path(directory)


def find_mounts_below(directory: Path, proc: Path = PROC, sysfs: Path = SYS) -> list[MountEntry]:
    """Return the mounts without a device on which a directory's files lie at last."""
    follower = _Follower(proc, sysfs)
    follower.follow_path(directory)
    return follower.without_device


def mounts_under(directory: Path, proc: Path = PROC, sysfs: Path = SYS) -> tuple[MountEntry, ...]:
    """Return the filesystem of a directory, then those that it lies on: of loops and overlays."""
    follower = _Follower(proc, sysfs)
    follower.follow_path(directory)
    return tuple(dict.fromkeys(follower.mounts))


class _Follower:
    """Follows paths and devices down; each device once."""

    def __init__(self, proc: Path, sysfs: Path) -> None:
        self._proc = proc
        self._sysfs = sysfs
        self._seen: set[str] = set()
        self.without_device: list[MountEntry] = []
        """Mounts that cannot be followed further, such as those of network filesystems."""
        self.mounts: list[MountEntry] = []
        """Filesystems on the way, from top to bottom."""

    def follow_path(self, path: Path) -> Underlying:
        """Return what a file or directory lies on, or a block device if the path is one."""
        try:
            status = path.stat()
        except OSError as error:
            return Underlying(unknown=f"{path} cannot be looked at ({error.strerror})")
        device = status.st_rdev if stat.S_ISBLK(status.st_mode) else status.st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        mount = entry_of(path.resolve(), self._mounts)
        if mount is not None and not stat.S_ISBLK(status.st_mode):
            self.mounts.append(mount)
        found = self._resolve(self._sysfs / "dev" / "block" / number)
        if found is not None:
            return self._follow_device(found, number)
        return self._follow_mount(path, mount)

    def _follow_mount(self, path: Path, mount: MountEntry | None) -> Underlying:
        """Return what a filesystem without a device number of its own lies on."""
        if mount is None:
            return Underlying(unknown=f"the filesystem of {path} is not listed")
        fstype, source = mount.mount.fstype, mount.mount.device
        if fstype in _MEMORY_FILESYSTEMS:
            return Underlying(memory=f"{path} is on {fstype}, which keeps files in memory")
        if fstype == "overlay":
            upper = [o.removeprefix("upperdir=") for o in mount.options if "upperdir=" in o]
            return self.follow_path(Path(upper[0])) if upper else _no_device(path, fstype)
        if fstype == "btrfs":
            return self._follow_btrfs(path, Path(source).resolve().name)
        if fstype.partition(".")[0] == "fuse" and Path(source).is_absolute():
            return self._follow_daemon(path, fstype, Path(source))
        self.without_device.append(mount)
        return _no_device(path, fstype)

    def _follow_btrfs(self, path: Path, name: str) -> Underlying:
        """Return what the devices lie on of the btrfs that has a device of this name."""
        for devices in (self._sysfs / "fs" / "btrfs").glob("*/devices"):
            if (devices / name).exists():
                return self._follow_all(devices)
        return _no_device(path, "btrfs")

    def _follow_daemon(self, path: Path, fstype: str, source: Path) -> Underlying:
        """Return what a filesystem lies on whose daemon shows another directory."""
        if not source.is_dir() or source in (path, *path.parents):
            return _no_device(path, fstype)
        return _below(f"{path} lies on {source}", self.follow_path(source))

    def _follow_device(self, directory: Path, number: str) -> Underlying:
        """Return what a device lies on, by its directory in sysfs: itself if on nothing else."""
        if number in self._seen:
            return Underlying()
        self._seen.add(number)
        name = directory.name
        disk = directory.parent if (directory / "partition").exists() else directory
        in_memory = _memory_of(disk)
        if in_memory:
            return Underlying(memory=in_memory)
        backing = read_fact(disk / "loop" / "backing_file")
        if backing is not None:
            return self._follow_loop(disk, Path(backing))
        if _entries(disk / "slaves"):
            return self._follow_all(disk / "slaves")
        if read_fact(disk / "queue" / "iostats") == "0":
            return Underlying(unknown=f"{name} does not count (queue/iostats is 0)")
        return Underlying((BlockDevice(number, name),))

    def _follow_loop(self, disk: Path, backing: Path) -> Underlying:
        """Return what a loop device lies on, unless another file has its file's name here."""
        above = f"{disk.name} lies on {backing}"
        size = int(read_fact(disk / "size") or 0) * _SECTOR_BYTES
        try:
            is_other = backing.is_file() and backing.stat().st_size < size
        except OSError:
            is_other = False  # what cannot be looked at is said below
        if is_other:
            return Underlying(unknown=f"{above}, which is not the file of this name here")
        return _below(above, self.follow_path(backing))

    def _follow_all(self, links: Path) -> Underlying:
        """Return what several devices lie on together, by links to their directories."""
        parts = []
        for link in _entries(links):
            directory = self._resolve(link)
            number = None if directory is None else read_fact(directory / "dev")
            if directory is None or number is None:
                parts.append(Underlying(unknown=f"{link.name} cannot be looked at"))
            else:
                parts.append(self._follow_device(directory, number))
        return _merge(parts)

    @staticmethod
    def _resolve(link: Path) -> Path | None:
        try:
            return link.resolve(strict=True)
        except (OSError, RuntimeError):  # a loop of links is a RuntimeError before Python 3.13
            return None

    @cached_property
    def _mounts(self) -> list[MountEntry]:
        return read_mountinfo(self._proc)


def _memory_of(disk: Path) -> str:
    """Return how a disk keeps its data in memory, in words; '' if it does not."""
    for names, how in _MEMORY_DEVICES:
        if names.fullmatch(disk.name) and read_fact(disk / "backing_dev") in (None, "none"):
            return f"{disk.name} {how}"
    model = read_fact(disk / "device" / "model")
    return f"{disk.name} is {model}, which is memory" if model in _MEMORY_MODELS else ""


def _below(above: str, found: Underlying) -> Underlying:
    return Underlying(
        found.devices,
        memory=f"{above}: {found.memory}" if found.memory else "",
        unknown=f"{above}: {found.unknown}" if found.unknown else "",
    )


def _merge(parts: Sequence[Underlying]) -> Underlying:
    return Underlying(
        tuple(device for part in parts for device in part.devices),
        memory="; ".join(part.memory for part in parts if part.memory),
        unknown="; ".join(part.unknown for part in parts if part.unknown),
    )


def _no_device(path: Path, fstype: str) -> Underlying:
    return Underlying(unknown=f"{path} is on {fstype}, which shows no device")


def _entries(directory: Path) -> Iterable[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []
