"""Mounts, and the filesystem that a directory is on."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.cluster.disks import device_model

_PSEUDO = frozenset(
    [
        *("autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts"),
        *("devtmpfs", "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore"),
        *("rpc_pipefs", "securityfs", "selinuxfs", "sysfs", "tracefs"),
    ]
)
"""Filesystems that store nothing for anybody."""
_NETWORK = frozenset(
    [
        *("9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.sshfs"),
        *("glusterfs", "gpfs", "lustre", "nfs", "nfs4", "orangefs", "panfs", "pvfs2", "smb3"),
        *("virtiofs", "wekafs"),
    ]
)
"""Filesystems that several hosts see at once."""


@dataclass(frozen=True)
class Mount:
    """A mounted filesystem."""

    mount_point: str
    fstype: str
    device: str
    options: str


@dataclass(frozen=True)
class CacheFilesystem:
    """The filesystem that the cache directory is on."""

    path: str
    mount_point: str
    fstype: str
    device: str
    model: str | None
    """Of the device, where the kernel tells one."""
    total_bytes: int
    free_bytes: int
    options: str

    @property
    def is_shared(self) -> bool:
        """Whether other hosts see the same filesystem."""
        return self.fstype in _NETWORK


def parse_mountinfo(text: str) -> list[Mount]:
    """Parse /proc/self/mountinfo (proc_pid_mountinfo(5)), in the order in which things mounted."""
    mounts = []
    for line in text.splitlines():
        own, separator, filesystem = line.partition(" - ")
        if not separator:
            continue
        fields, (fstype, device, *_) = own.split(" "), filesystem.split(" ")
        mounts.append(Mount(_decode(fields[4]), fstype, _decode(device), fields[5]))
    return mounts


def _decode(field: str) -> str:
    """Decode the octal escapes that the kernel uses for blanks and backslashes."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def mounts_here() -> list[Mount]:
    """Return every mount of this process; none where the kernel does not tell."""
    try:
        return parse_mountinfo(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
    except OSError:
        return []


def storing(mounts: list[Mount]) -> list[Mount]:
    """Return the mounts that store something."""
    return [mount for mount in mounts if mount.fstype not in _PSEUDO]


def mount_of(path: Path, mounts: list[Mount]) -> Mount | None:
    """Return the mount that a path is on: the longest prefix, and the last of several there."""
    found: Mount | None = None
    for mount in mounts:
        point = Path(mount.mount_point)
        is_above = point == path or point in path.parents
        if is_above and (found is None or len(point.parts) >= len(Path(found.mount_point).parts)):
            found = mount
    return found


def cache_filesystem(cache_dir: Path, mounts: list[Mount]) -> CacheFilesystem | None:
    """Describe the filesystem of a directory, or of its nearest ancestor that exists."""
    resolved = cache_dir.resolve()
    existing = next(path for path in (resolved, *resolved.parents) if path.exists())
    mount = mount_of(existing, mounts)
    if mount is None:
        return None
    space = os.statvfs(existing)
    return CacheFilesystem(
        path=str(cache_dir),
        mount_point=mount.mount_point,
        fstype=mount.fstype,
        device=mount.device,
        model=device_model(existing.stat().st_dev),
        total_bytes=space.f_blocks * space.f_frsize,
        free_bytes=space.f_bavail * space.f_frsize,
        options=mount.options,
    )
