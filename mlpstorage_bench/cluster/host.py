"""Record of this host: hardware, operating system, and the filesystem of the cache.

The records extend the format of the reference's `hosts[]`. Values that are unknown on this host are
None: containers hide many of them.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
import time
import warnings
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import psutil

from mlpstorage_bench.cluster.disks import PROC, SYS, Disk, list_disks, read_fact
from mlpstorage_bench.cluster.filesystems import (
    CacheFilesystem,
    Mount,
    describe_cache_filesystem,
    list_mounts,
    read_mountinfo,
)
from mlpstorage_bench.cluster.kernel_counters import KernelCounters, read_counters
from mlpstorage_bench.process.limits import read_limits

PACKAGES = (
    *("mlpstorage_bench", "pytest", "pytest-benchmark", "pytest-mpi", "mpi4py", "numpy"),
    *("psutil", "xxhash"),
)
"""Distributions whose versions may affect a result."""


_UNREADABLE = (OSError, LookupError, ValueError)
"""Errors of psutil where a sandbox hides a file of the kernel, or shows an empty or strange one."""


@dataclass(frozen=True)
class Memory:
    """Main memory, in bytes."""

    total: int | None
    available: int | None
    used: int | None
    free: int | None
    active: int | None
    inactive: int | None
    buffers: int | None
    cached: int | None
    shared: int | None


@dataclass(frozen=True)
class Cpu:
    """All processors of the host, including those that this process is not bound to."""

    num_cores: int | None
    """Physical cores."""
    num_logical_cores: int | None
    model: str | None
    architecture: str


@dataclass(frozen=True)
class NetworkInterface:
    """A network interface, without its addresses."""

    name: str
    speed_mbps: int | None
    mtu: int
    up: bool


@dataclass(frozen=True)
class System:
    """Operating system and load."""

    kernel_version: str
    os_release: dict[str, str] | None
    """The keys of os-release(5)."""
    uptime_seconds: float
    load_average_1min: float | None
    load_average_5min: float | None
    load_average_15min: float | None


@dataclass(frozen=True)
class Usable:
    """Processors and memory that the session may use; None where the kernel does not show it."""

    processors: float | None = None
    """Worth of processors: less than the host's by a quota, a cpuset or a binding."""
    memory_bytes: int | None = None
    """Least total of the host and of the control groups."""
    limits: tuple[str, ...] = ()
    """A sentence for each limit that is narrower than the host."""


@dataclass(frozen=True)
class HostRecord:
    """Facts about one host; `dataclasses.asdict` of it can be written as JSON."""

    hostname: str
    memory: Memory
    cpu: Cpu
    disks: tuple[Disk, ...] | None
    network: tuple[NetworkInterface, ...] | None
    system: System
    cache_filesystem: CacheFilesystem
    mounts: tuple[Mount, ...]
    python_version: str
    packages: dict[str, str | None]
    """Versions by distribution; None if not installed."""
    collection_timestamp: str
    """ISO 8601, UTC."""
    usable: Usable = Usable()
    mpi_library: str | None = None
    """Name and version; None without MPI."""
    counters: KernelCounters = field(default_factory=KernelCounters)
    """Counters since boot."""
    clock_offset_s: float | None = None
    """Seconds its wall clock is ahead of that of rank 0's host; None for a single host."""


def describe_host(cache_dir: Path, *, proc: Path = PROC, sysfs: Path = SYS) -> HostRecord:
    """Return the facts about this host and the filesystem of the cache directory.

    `proc` and `sysfs` are the mount points of the kernel's filesystems.
    """
    cpu, limits = _cpu(proc), read_limits(proc)
    return HostRecord(
        hostname=socket.gethostname(),
        memory=_memory(),
        cpu=cpu,
        disks=list_disks(proc, sysfs),
        network=_network(),
        system=_system(),
        cache_filesystem=describe_cache_filesystem(cache_dir, proc, sysfs),
        mounts=list_mounts(read_mountinfo(proc)),
        python_version=platform.python_version(),
        packages={name: _installed_version(name) for name in PACKAGES},
        collection_timestamp=_now(),
        counters=read_counters(proc),
        usable=Usable(
            None if limits.processors is None else limits.processors.number,
            None if limits.total_memory is None else limits.total_memory.total_bytes,
            tuple(limits.describe(cpu.num_logical_cores)),
        ),
    )


def at_end(record: HostRecord, *, proc: Path = PROC) -> HostRecord:
    """Return a record of this host with memory, load and counters of now.

    The filesystem of the cache is not looked at: a storage that hangs must not hang the end.
    """
    return replace(
        record,
        memory=_memory(),
        system=_system(),
        counters=read_counters(proc),
        collection_timestamp=_now(),
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _memory() -> Memory:
    with warnings.catch_warnings():
        # psutil warns of each missing value, and returns 0 for it
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            figures = psutil.virtual_memory()._asdict()
        except _UNREADABLE:
            figures = {}
    return Memory(**{name: figures.get(name) or None for name in Memory.__dataclass_fields__})


def _cpu(proc: Path) -> Cpu:
    return Cpu(
        num_cores=_count_cores(logical=False),
        num_logical_cores=_count_cores(logical=True),
        model=_cpu_model(proc),
        architecture=os.uname().machine,
    )


def _count_cores(*, logical: bool) -> int | None:
    try:
        return psutil.cpu_count(logical=logical)
    except _UNREADABLE:
        return None


def _cpu_model(proc: Path) -> str | None:
    """Return the model of the first processor; its field depends on the architecture."""
    facts: dict[str, str] = {}
    for line in (read_fact(proc / "cpuinfo") or "").split("\n"):
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    if "model name" in facts:  # x86
        return facts["model name"]
    if "cpu" in facts:  # POWER
        return facts["cpu"]
    if "CPU part" in facts:  # Arm has numbers only
        return f"implementer {facts.get('CPU implementer')} part {facts['CPU part']}"
    return None


def _network() -> tuple[NetworkInterface, ...] | None:
    try:
        interfaces = psutil.net_if_stats()
    except _UNREADABLE:
        return None
    return tuple(
        # psutil's speed is 0 if the driver does not report it
        NetworkInterface(name, facts.speed or None, facts.mtu, facts.isup)
        for name, facts in sorted(interfaces.items())
    )


def _system() -> System:
    load_averages: tuple[float, float, float] | tuple[None, None, None]
    try:
        load_averages = os.getloadavg()
    except OSError:
        load_averages = (None, None, None)
    return System(
        os.uname().release,
        _os_release(),
        time.clock_gettime(time.CLOCK_BOOTTIME),
        *load_averages,
    )


def _os_release() -> dict[str, str] | None:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return None


def _installed_version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
