"""A tree of /sys that tests write."""

from __future__ import annotations

from pathlib import Path


class FakeSysfs:
    """A directory tree with the layout of /sys for block devices."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("block", "dev/block", "class/block"):
            (root / name).mkdir(parents=True)

    def add_disk(self, name: str, number: str, *, model: str = "", sectors: int = 2048) -> Path:
        disk = self._add(self.root / "devices" / "block" / name, number)
        (self.root / "block" / name).symlink_to(disk)
        (disk / "size").write_text(f"{sectors}\n")
        (disk / "slaves").mkdir()
        if model:
            (disk / "device").mkdir()
            (disk / "device" / "model").write_text(f"{model:16}\n")
            (disk / "queue").mkdir()
            (disk / "queue" / "rotational").write_text("0\n")
        return disk

    def add_partition(self, disk: Path, name: str, number: str) -> Path:
        partition = self._add(disk / name, number)
        (partition / "partition").write_text("1\n")
        return partition

    def add_volume(self, name: str, number: str, *slaves: Path) -> Path:
        volume = self.add_disk(name, number)
        for slave in slaves:
            (volume / "slaves" / slave.name).symlink_to(slave)
        return volume

    def _add(self, directory: Path, number: str) -> Path:
        directory.mkdir(parents=True)
        (directory / "dev").write_text(f"{number}\n")
        (self.root / "dev" / "block" / number).symlink_to(directory)
        (self.root / "class" / "block" / directory.name).symlink_to(directory)
        return directory
