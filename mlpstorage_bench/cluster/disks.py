"""Disks of this host, and the hardware model of a block device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SYS = Path("/sys")
PROC = Path("/proc")

_SECTOR_BYTES = 512
"""Unit of sizes and counters in sysfs and diskstats, for any sector size of the device."""


@dataclass(frozen=True)
class Disk:
    """A block device that is not a partition; values that the kernel does not provide are None."""

    name: str
    model: str | None
    size_bytes: int
    rotational: bool | None
    """The kernel's flag, which is also set for many virtual disks."""
    read_bytes: int | None
    """Bytes since boot."""
    write_bytes: int | None
    """Bytes since boot."""


def list_disks(proc: Path = PROC, sysfs: Path = SYS) -> tuple[Disk, ...] | None:
    """Return the disks with a medium, by name; None where sysfs shows none (containers).

    Unused loop devices have no medium. The hidden single paths to a multipath disk are omitted.
    """
    try:
        directories = sorted((sysfs / "block").iterdir())
    except OSError:
        return None
    transferred = _transferred_bytes(proc)
    disks = []
    for directory in directories:
        sectors = int(read_fact(directory / "size") or 0)
        if sectors == 0 or read_fact(directory / "hidden") == "1":
            continue
        read_bytes, write_bytes = transferred.get(directory.name, (None, None))
        rotational = read_fact(directory / "queue" / "rotational")
        disks.append(
            Disk(
                name=directory.name,
                model=_model(directory.resolve()),
                size_bytes=sectors * _SECTOR_BYTES,
                rotational=None if rotational is None else rotational == "1",
                read_bytes=read_bytes,
                write_bytes=write_bytes,
            )
        )
    return tuple(disks)


def device_model(device_number: str, source: str, sysfs: Path = SYS) -> str | None:
    """Return the model of the disk under a mounted filesystem; None for network and memory.

    `device_number` is "major:minor", `source` the mounted device. A partition has the model of its
    disk; a volume over several disks (LVM, RAID) has the models of all, joined by " + ".
    """
    candidates = [sysfs / "dev" / "block" / device_number]
    if source.startswith("/dev/"):
        # device numbers of btrfs belong to no block device
        candidates.append(sysfs / "class" / "block" / Path(source).resolve().name)
    for candidate in candidates:
        try:
            return _model(candidate.resolve(strict=True))
        except OSError:
            continue
    return None


def read_fact(path: Path) -> str | None:
    """Return the text of a file of sysfs or procfs; None if it is absent, unreadable or empty."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def _model(block_device: Path) -> str | None:
    """Return the model for a device's sysfs directory, also of partitions and volumes."""
    if read_fact(block_device / "partition") is not None:
        block_device = block_device.parent
    own = read_fact(block_device / "device" / "model")
    if own is not None:
        return own
    try:
        slaves = list((block_device / "slaves").iterdir())
    except OSError:
        return None
    models = [_model(slave.resolve()) for slave in slaves]
    known = {model for model in models if model is not None}
    # the model of a volume is only known if all its parts are
    return " + ".join(sorted(known)) if known and None not in models else None


def _transferred_bytes(proc: Path) -> dict[str, tuple[int, int]]:
    """Return the bytes read and written since boot, by device."""
    transferred = {}
    for line in (read_fact(proc / "diskstats") or "").split("\n"):
        match line.split():
            case [_, _, name, _, _, sectors_read, _, _, _, sectors_written, *_]:
                transferred[name] = (
                    int(sectors_read) * _SECTOR_BYTES,
                    int(sectors_written) * _SECTOR_BYTES,
                )
    return transferred
