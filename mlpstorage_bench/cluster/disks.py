"""The disks of this host, and the hardware that is behind a block device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SYS = Path("/sys")
PROC = Path("/proc")

_SECTOR_BYTES = 512
"""The unit of sizes and counters in sysfs and diskstats, whatever the device's own sector is."""


@dataclass(frozen=True)
class Disk:
    """A block device that is no partition; what the kernel does not tell is None."""

    name: str
    model: str | None
    size_bytes: int
    rotational: bool | None
    """What the kernel believes; it takes many virtual disks for rotating ones."""
    read_bytes: int | None
    """Since boot."""
    write_bytes: int | None
    """Since boot."""


def list_disks(proc: Path = PROC, sysfs: Path = SYS) -> tuple[Disk, ...] | None:
    """Return the disks that hold a medium, by name; None where the kernel shows none (containers).

    Without a medium are, for example, the loop devices that are not in use. The single paths to a
    multipath disk, which the kernel hides, are left out as well.
    """
    try:
        directories = sorted((sysfs / "block").iterdir())
    except OSError:
        return None
    moved = _moved_bytes(proc)
    disks = []
    for directory in directories:
        sectors = int(read_fact(directory / "size") or 0)
        if sectors == 0 or read_fact(directory / "hidden") == "1":
            continue
        read_bytes, write_bytes = moved.get(directory.name, (None, None))
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

    `device_number` is "major:minor", `source` the device as it was mounted. A partition is its
    disk; a volume over several disks (LVM, RAID) is the models of all of them, joined by " + ".
    """
    candidates = [sysfs / "dev" / "block" / device_number]
    if source.startswith("/dev/"):
        # btrfs has device numbers of its own, which are no block device's
        candidates.append(sysfs / "class" / "block" / Path(source).resolve().name)
    for candidate in candidates:
        try:
            return _model(candidate.resolve(strict=True))
        except OSError:
            continue
    return None


def read_fact(path: Path) -> str | None:
    """Return what a file of sysfs or procfs says; None when it is absent, unreadable or empty."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def _model(block_device: Path) -> str | None:
    """Return the model behind a device's own directory in sysfs, through partitions and volumes."""
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
    # a volume of which a part is unknown is not described by the rest
    return " + ".join(sorted(known)) if known and None not in models else None


def _moved_bytes(proc: Path) -> dict[str, tuple[int, int]]:
    """Return the bytes read and written since boot, by device."""
    moved = {}
    for line in (read_fact(proc / "diskstats") or "").split("\n"):
        match line.split():
            case [_, _, name, _, _, sectors_read, _, _, _, sectors_written, *_]:
                moved[name] = (
                    int(sectors_read) * _SECTOR_BYTES,
                    int(sectors_written) * _SECTOR_BYTES,
                )
    return moved
