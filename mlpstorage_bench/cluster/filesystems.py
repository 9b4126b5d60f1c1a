"""Mounted filesystems of this host, and the filesystem of a cache directory."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.cluster.disks import PROC, SYS, device_model
from mlpstorage_bench.redaction.text import redact_mount_source, redact_text

_PSEUDO = frozenset({
    "autofs", "binder", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "cpuset",
    "debugfs", "devpts", "devtmpfs", "efivarfs", "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal",
    "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "resctrl", "rpc_pipefs",
    "securityfs", "selinuxfs", "sysfs", "tracefs",
})  # fmt: skip
"""Interfaces to the kernel and to daemons, without user data."""

_CLUSTER = frozenset({
    "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.daos", "fuse.glusterfs", "fuse.juicefs",
    "fuse.quobyte", "gfs2", "gpfs", "lustre", "nfs", "nfs4", "ocfs2", "orangefs", "panfs",
    "pvfs2", "smb3", "wekafs",
})  # fmt: skip
"""Types for which the same device on two hosts is the same storage. 9p and virtiofs are not among
them: their device is a label between a virtual machine and its host, equal on all machines."""

_IN_MEMORY = frozenset({"devtmpfs", "ramfs", "tmpfs"})

ROOT_MOUNT = "/"
SYSTEM_DISK_ADVICE = (
    "Is the storage to be measured mounted? Name a directory on it with --mlps-cache-dir"
)
"""Next step where a cache directory is on the filesystem of the operating system."""

_PRIVATE_OPTIONS = frozenset({
    "addr", "clientaddr", "domain", "localaddr", "mountaddr", "mon_addr", "password", "secret",
    "srcaddr", "user", "username",
})  # fmt: skip
"""Mount options with addresses and accounts, irrelevant for the storage's behaviour."""


@dataclass(frozen=True)
class Mount:
    """A mounted filesystem."""

    mount_point: str
    fstype: str
    device: str
    """Mounted device: a block device, `server:/export`, or a name."""


@dataclass(frozen=True)
class MountEntry:
    """A line of mountinfo: a mount and its position in the tree of mounts."""

    mount_id: int
    parent_id: int
    device_number: str
    """major:minor."""
    mount: Mount
    options: tuple[str, ...]
    """Options of the mount, then of the filesystem, each once; without addresses and accounts."""


@dataclass(frozen=True)
class CacheFilesystem:
    """Filesystem of a cache directory; values that are unknown on this host are None."""

    path: str
    existing: str
    """Existing part of the given path, with symbolic links unresolved: they may differ by host."""
    mount_point: str | None
    fstype: str | None
    device: str | None
    model: str | None
    """Model of the disk; None for network and memory."""
    total_bytes: int | None
    free_bytes: int | None
    """Free bytes for users without privileges."""
    options: tuple[str, ...] | None

    @property
    def is_in_memory(self) -> bool:
        """Whether files are kept in the host's memory."""
        return self.fstype in _IN_MEMORY

    @property
    def is_of_system(self) -> bool:
        """Whether the operating system lies on the same filesystem."""
        return self.mount_point == ROOT_MOUNT

    def is_same_storage(self, other: CacheFilesystem) -> bool:
        """Return whether another host's filesystem is this one: a network or cluster filesystem."""
        device = self.device or ""
        is_remote = (":" in device and not device.startswith("/")) or device.startswith("//")
        return (is_remote or self.fstype in _CLUSTER) and (self.fstype, self.device) == (
            other.fstype,
            other.device,
        )


def describe_cache_filesystem(
    cache_dir: Path, proc: Path = PROC, sysfs: Path = SYS
) -> CacheFilesystem:
    """Return the filesystem of the directory, which need not exist yet."""
    given, path = cache_dir.absolute(), cache_dir.resolve()
    # first, because it triggers an automounter
    total_bytes, free_bytes = _space(path)
    entry = entry_of(path, read_mountinfo(proc))
    return CacheFilesystem(
        path=str(path),
        existing=str(next(p for p in (given, *given.parents) if p.exists())),
        mount_point=entry.mount.mount_point if entry else None,
        fstype=entry.mount.fstype if entry else None,
        device=entry.mount.device if entry else None,
        model=device_model(entry.device_number, entry.mount.device, sysfs) if entry else None,
        total_bytes=total_bytes,
        free_bytes=free_bytes,
        options=entry.options if entry else None,
    )


def list_mounts(entries: Sequence[MountEntry]) -> tuple[Mount, ...]:
    """Return the mounts that can be reached and may hold data, in the order of mountinfo."""
    return tuple(
        entry.mount
        for entry in entries
        if entry.mount.fstype not in _PSEUDO
        and entry_of(Path(entry.mount.mount_point), entries) == entry
    )


def read_mountinfo(proc: Path = PROC) -> list[MountEntry]:
    """Return this process's mounts; none where the kernel does not list them."""
    try:
        text = (proc / "self" / "mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return parse_mountinfo(text)


def parse_mountinfo(text: str) -> list[MountEntry]:
    """Return the lines of a mountinfo file (proc_pid_mountinfo(5)), with escapes decoded."""
    entries = []
    for line in text.split("\n"):
        if not line:
            continue
        # Only a single blank separates: a field may be empty, or hold blanks other than ASCII's
        fields = line.split(" ")
        mount_id, parent_id, device_number, _root, mount_point, options = fields[:6]
        # A variable number of optional fields ends with a lone hyphen
        fstype, source, super_options = fields[fields.index("-", 6) + 1 :][:3]
        entries.append(
            MountEntry(
                int(mount_id),
                int(parent_id),
                device_number,
                _mount(mount_point, fstype, source),
                _merge_options(options, super_options),
            )
        )
    return entries


def _mount(mount_point: str, fstype: str, source: str) -> Mount:
    fstype = unescape(fstype)
    source = redact_mount_source(fstype, unescape(source))
    return Mount(unescape(mount_point), fstype, source)


def entry_of(path: Path, entries: Sequence[MountEntry]) -> MountEntry | None:
    """Return the mount that an absolute path without symbolic links leads to.

    Follows the path like the kernel: a mount counts only if its parent is the mount reached so
    far, so that a mount hidden by a later one is not found.
    """
    listed = {entry.mount_id for entry in entries}
    placed = {(_listed_parent(entry, listed), entry.mount.mount_point): entry for entry in entries}
    reached: MountEntry | None = None
    for directory in (*reversed(path.parents), path):
        while True:
            above = placed.get((reached.mount_id if reached else None, str(directory)))
            if above is None:
                break
            reached = above
    return reached


def mount_of(directory: Path, proc: Path = PROC) -> MountEntry | None:
    """Return the mount that an existing directory is on; None where the kernel lists none."""
    return entry_of(directory.resolve(), read_mountinfo(proc))


def _listed_parent(entry: MountEntry, listed: set[int]) -> int | None:
    """Return the parent mount; None for roots, whose parent is not in the list."""
    is_root = entry.parent_id == entry.mount_id or entry.parent_id not in listed
    return None if is_root else entry.parent_id


def _merge_options(mount_options: str, super_options: str) -> tuple[str, ...]:
    options = dict.fromkeys([*mount_options.split(","), *super_options.split(",")])
    return tuple(
        redact_text(unescape(option))
        for option in options
        if option.partition("=")[0] not in _PRIVATE_OPTIONS
    )


def unescape(field: str) -> str:
    """Decode the kernel's escapes: a backslash and three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda escape: chr(int(escape[1], 8)), field)


def _space(path: Path) -> tuple[int | None, int | None]:
    """Return the total and free bytes at a path or its nearest existing parent."""
    for existing in (path, *path.parents):
        try:
            space = os.statvfs(existing)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return None, None
        if space.f_blocks == 0:  # such as ramfs, which has no size
            return None, None
        return space.f_blocks * space.f_frsize, space.f_bavail * space.f_frsize
    return None, None
