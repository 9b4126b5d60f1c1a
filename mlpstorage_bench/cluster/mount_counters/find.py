"""Sources of counts for a mount of a network filesystem: an exact one first, then a bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.cluster.disks import PROC, SYS
from mlpstorage_bench.cluster.filesystems import Mount, MountEntry
from mlpstorage_bench.cluster.mount_counters.ceph import ceph_source
from mlpstorage_bench.cluster.mount_counters.gluster import gluster_source
from mlpstorage_bench.cluster.mount_counters.interfaces import interface_source
from mlpstorage_bench.cluster.mount_counters.juicefs import juicefs_source
from mlpstorage_bench.cluster.mount_counters.lustre import lustre_source
from mlpstorage_bench.cluster.mount_counters.nfs import nfs_source
from mlpstorage_bench.cluster.mount_counters.server import is_this_host, server_host
from mlpstorage_bench.cluster.mount_counters.smb import smb_source
from mlpstorage_bench.measure.source import SourceFiles

_ONE_SERVER = frozenset({
    "afs", "cifs", "davfs", "fuse.curlftpfs", "fuse.sshfs", "nfs", "nfs4", "smb3",
})  # fmt: skip
"""Types whose data comes from the host that the mount's source names."""
_SEVERAL_SERVERS = frozenset({
    "beegfs", "ceph", "fuse.ceph", "fuse.ceph-fuse", "fuse.gcsfuse", "fuse.glusterfs",
    "fuse.juicefs", "fuse.quobyte", "fuse.rclone", "fuse.s3fs", "lustre", "orangefs", "panfs",
    "pvfs2",
})  # fmt: skip
"""Types whose data comes from hosts that the mount's source need not name."""
_PAST_INTERFACES = frozenset({"9p", "fuse.daos", "gpfs", "virtiofs", "wekafs"})
"""Types whose data may come from disks of a SAN, from shared memory of a server on this host, from
a library that drives a network adapter itself, or from the host of a virtual machine."""

_Find = Callable[[Mount, Path, Path], SourceFiles | str | None]
"""Returns a filesystem's own counters, why they cannot be used, or None if it shows none."""
_OWN_COUNTERS: dict[str, _Find] = {
    "ceph": lambda mount, _proc, sysfs: ceph_source(mount, sysfs),
    "cifs": lambda mount, proc, _sysfs: smb_source(mount, proc),
    "fuse.glusterfs": lambda mount, _proc, _sysfs: gluster_source(mount),
    "fuse.juicefs": lambda mount, _proc, _sysfs: juicefs_source(mount),
    "lustre": lustre_source,
    "nfs": lambda mount, proc, _sysfs: nfs_source(mount, proc),
    "nfs4": lambda mount, proc, _sysfs: nfs_source(mount, proc),
    "smb3": lambda mount, proc, _sysfs: smb_source(mount, proc),
}


@dataclass(frozen=True)
class MountSources:
    """Sources of a mount, the best first."""

    sources: tuple[SourceFiles, ...]
    reason: str = ""
    """Why counters that the filesystem has cannot be used; '' if they can, or it has none."""


def find_sources(entry: MountEntry, proc: Path = PROC, sysfs: Path = SYS) -> MountSources | None:
    """Return the sources of a mount; None if it is no network filesystem that is known."""
    mount = entry.mount
    if mount.fstype in _PAST_INTERFACES:
        reason = f"{mount.fstype} has no counters that are known, and may not use the interfaces"
        return MountSources((), f"{reason} that this host's kernel counts")
    if mount.fstype not in _ONE_SERVER | _SEVERAL_SERVERS:
        return None
    find_own = _OWN_COUNTERS.get(mount.fstype)
    own = None if find_own is None else find_own(mount, proc, sysfs)
    interfaces = interface_source(proc, sysfs, with_loopback=_may_use_loopback(mount))
    found = [one for one in (own, interfaces) if isinstance(one, SourceFiles)]
    reason = own if isinstance(own, str) else ""
    if not found and isinstance(interfaces, str):
        reason = "; ".join(filter(None, (reason, interfaces)))
    return MountSources(tuple(found), reason)


def _may_use_loopback(mount: Mount) -> bool:
    """Return whether data may come over loopback: from a server that is, or may be, this host."""
    return mount.fstype in _SEVERAL_SERVERS or is_this_host(server_host(mount.device)) is not False
