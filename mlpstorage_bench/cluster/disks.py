"""Block devices, as /sys describes them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

SYS = Path("/sys")
_SECTOR_BYTES = 512
"""The unit of /sys/block/*/size and stat, whatever the device's own sectors are."""
_NOT_DISKS = ("loop", "ram", "zram")


@dataclass(frozen=True)
class Disk:
    """A disk, and what it has moved since the host started."""

    name: str
    model: str | None
    size_bytes: int | None
    rotational: bool | None
    read_bytes: int | None
    write_bytes: int | None


def disks_here(sys: Path = SYS) -> list[Disk]:
    """Return this host's disks; none where the kernel does not tell."""
    try:
        names = sorted(path.name for path in (sys / "block").iterdir())
    except OSError:
        return []
    return [_disk(sys / "block" / name) for name in names if not name.startswith(_NOT_DISKS)]


def _disk(folder: Path) -> Disk:
    size, rotational = _read(folder / "size"), _read(folder / "queue" / "rotational")
    stat = (_read(folder / "stat") or "").split()
    return Disk(
        name=folder.name,
        model=_model(folder),
        size_bytes=int(size) * _SECTOR_BYTES if size else None,
        rotational=rotational == "1" if rotational else None,
        read_bytes=int(stat[2]) * _SECTOR_BYTES if stat else None,
        write_bytes=int(stat[6]) * _SECTOR_BYTES if stat else None,
    )


def device_model(device: int, sys: Path = SYS) -> str | None:
    """Return the model of the disk under a device number: a partition's disk, a mapping's slave."""
    link = sys / "dev" / "block" / f"{os.major(device)}:{os.minor(device)}"
    folder = link.resolve()
    return _model(folder) if folder.is_dir() else None


def _model(folder: Path) -> str | None:
    """Look for a model here, at the disk of a partition, and at the slaves of a mapping."""
    own = _read(folder / "device" / "model")
    if own:
        return own
    if (folder / "partition").exists():
        return _model(folder.parent)
    try:
        slaves = sorted((folder / "slaves").iterdir())
    except OSError:
        return None
    models = [model for slave in slaves if (model := _model(slave.resolve()))]
    return ", ".join(dict.fromkeys(models)) or None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
