"""Facts about the hosts of a run that decide whether its figures can be trusted.

Each rank looks at its own process, and the lowest rank of a host at the host as well. Facts are
recorded in every mode; `findings` judges them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlpstorage_bench.cluster.device_stack import find_underlying, mounts_under
from mlpstorage_bench.cluster.disks import PROC, SYS, read_fact
from mlpstorage_bench.mpi.ranks import Ranks
from mlpstorage_bench.process.control_groups import ROOT, control_groups, text_of
from mlpstorage_bench.process.preloads import Preloads, mapped_libraries, read_preloads
from mlpstorage_bench.process.symbols import ResolvedFunctions, resolve_functions
from mlpstorage_bench.storage.page_cache_probe import PageCacheStates

_LIMIT_FILES = (
    *("memory.max", "memory.high", "cpu.max", "io.max"),
    *("memory.limit_in_bytes", "cpu.cfs_quota_us"),
    *("blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device"),
    *("blkio.throttle.read_iops_device", "blkio.throttle.write_iops_device"),
)
"""Files of a control group with limits, of both versions."""
_NO_LIMIT = frozenset({"", "max", "-1"})
_NO_MEMORY_LIMIT_DIGITS = 19
"""Version 1 writes a number near 2^63 where there is no limit."""


@dataclass(frozen=True)
class ProcessFacts:
    """The libraries and functions of some ranks' processes, which are alike."""

    ranks: tuple[int, ...]
    preloads: Preloads
    functions: ResolvedFunctions


@dataclass(frozen=True)
class MountFacts:
    """A mounted filesystem that the cache directory lies on."""

    mount_point: str
    fstype: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class DeviceFacts:
    """A device that the cache directory lies on at last."""

    name: str
    write_cache: str | None
    """`write back` if the device may keep written data in a volatile cache; else `write through`;
    None if the kernel does not show it."""
    forced_unit_access: bool | None
    """Whether single writes can bypass that cache."""


@dataclass(frozen=True)
class LimitFacts:
    """A limit of a control group of the process."""

    control_group: str
    file: str
    value: str


@dataclass(frozen=True)
class KernelFacts:
    """The kernel, and its restrictions of the process."""

    release: str
    version: str
    machine: str
    seccomp: str | None
    """Mode of the process's filter of system calls: 0 none, 1 strict, 2 filter."""


@dataclass(frozen=True)
class HostIntegrity:
    """Facts about one host."""

    hostname: str
    processes: tuple[ProcessFacts, ...]
    libraries: tuple[str, ...]
    """Files whose code is mapped in the process of the host's lowest rank."""
    kernel: KernelFacts
    limits: tuple[LimitFacts, ...]
    mounts: tuple[MountFacts, ...]
    """The filesystem of the cache directory, then those below it: of loop devices and overlays."""
    devices: tuple[DeviceFacts, ...]
    page_cache: PageCacheStates


def describe_process(rank: int) -> ProcessFacts:
    """Return the facts about this rank's process."""
    return ProcessFacts((rank,), read_preloads(), resolve_functions())


def describe_integrity(
    hostname: str,
    process: ProcessFacts,
    cache_dir: Path,
    page_cache: PageCacheStates,
    proc: Path = PROC,
    sysfs: Path = SYS,
) -> HostIntegrity:
    """Return the facts about this host, with those about one process.

    `page_cache` was measured in the cache directory. `proc` and `sysfs` are the mount points of
    the kernel's filesystems.
    """
    uname = os.uname()
    seccomp = next(
        (
            line.split()[1]
            for line in text_of(proc / "self/status").split("\n")
            if line.startswith("Seccomp:")
        ),
        None,
    )
    return HostIntegrity(
        hostname=hostname,
        processes=(process,),
        libraries=mapped_libraries(proc),
        kernel=KernelFacts(uname.release, uname.version, uname.machine, seccomp),
        limits=tuple(_limits(proc)),
        mounts=tuple(
            MountFacts(entry.mount.mount_point, entry.mount.fstype, entry.options)
            for entry in mounts_under(cache_dir, proc, sysfs)
        ),
        devices=tuple(
            _device(sysfs, device.number, device.name)
            for device in find_underlying(cache_dir, proc, sysfs).devices
        ),
        page_cache=page_cache,
    )


def gather_integrity(
    ranks: Ranks, process: ProcessFacts, host: HostIntegrity | None, hostname: str
) -> tuple[HostIntegrity, ...]:
    """Return the facts about all hosts on rank 0, and none elsewhere; a collective operation.

    `host` are those about this rank's host; None except on the lowest rank there.
    """
    gathered = ranks.gather((hostname, process, host))
    if gathered is None:
        return ()
    return tuple(
        _with_processes(about, [one for name, one, _ in gathered if name == about.hostname])
        for _, _, about in gathered
        if about is not None
    )


def _with_processes(host: HostIntegrity, processes: Sequence[ProcessFacts]) -> HostIntegrity:
    """Return a host with the processes of all its ranks; those that are alike together."""
    alike: dict[str, ProcessFacts] = {}
    for process in processes:
        key = repr((process.preloads, process.functions))
        ranks = (*(alike[key].ranks if key in alike else ()), *process.ranks)
        alike[key] = ProcessFacts(ranks, process.preloads, process.functions)
    return replace(host, processes=tuple(alike.values()))


def _limits(proc: Path) -> Sequence[LimitFacts]:
    found = [
        LimitFacts(group.name, name, text_of(group.directory / name).strip())
        for group in control_groups(proc, ROOT)
        for name in _LIMIT_FILES
    ]
    return [
        limit
        for limit in dict.fromkeys(found)
        if limit.value.split(" ")[0] not in _NO_LIMIT
        and not (limit.value.isdecimal() and len(limit.value) >= _NO_MEMORY_LIMIT_DIGITS)
    ]


def _device(sysfs: Path, number: str, name: str) -> DeviceFacts:
    directory = sysfs / "dev" / "block" / number
    if (directory / "partition").exists():
        directory = directory.resolve().parent
    queue = directory / "queue"
    unit_access = read_fact(queue / "fua")
    return DeviceFacts(
        name,
        read_fact(queue / "write_cache"),
        None if unit_access is None else unit_access == "1",
    )
