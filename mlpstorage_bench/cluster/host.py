"""One host, as far as it bears on storage. What it does not tell is None, never invented."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from mlpstorage_bench.cluster.disks import Disk, disks_here
from mlpstorage_bench.cluster.filesystems import (
    CacheFilesystem,
    Mount,
    cache_filesystem,
    mounts_here,
    storing,
)

PACKAGES = ("mlpstorage-bench", "pytest", "pytest-benchmark", "pytest-mpi", "mpi4py", "numpy")


@dataclass(frozen=True)
class Memory:
    """Memory in bytes, as psutil.virtual_memory tells it."""

    total: int
    available: int
    used: int
    free: int
    active: int | None
    inactive: int | None
    buffers: int | None
    cached: int | None
    shared: int | None


@dataclass(frozen=True)
class Cpu:
    """Processors: physical cores, and what the scheduler sees."""

    num_cores: int | None
    num_logical_cores: int
    model: str | None
    architecture: str


@dataclass(frozen=True)
class NetworkInterface:
    """An interface by name; addresses are nobody's business."""

    name: str
    speed_mbps: int | None
    mtu: int
    up: bool


@dataclass(frozen=True)
class System:
    """Kernel, distribution, load."""

    kernel_version: str
    os_release: str | None
    uptime_seconds: float
    load_average_1m: float
    load_average_5m: float
    load_average_15m: float


@dataclass(frozen=True)
class HostRecord:
    """One host."""

    hostname: str
    memory: Memory
    cpu: Cpu
    disks: tuple[Disk, ...]
    network: tuple[NetworkInterface, ...]
    system: System
    cache_filesystem: CacheFilesystem | None
    mounts: tuple[Mount, ...]
    python_version: str
    packages: dict[str, str | None]
    """Versions of what takes part in the measurement; None: not installed."""
    collection_timestamp: str


def describe_host(cache_dir: Path) -> HostRecord:
    """Describe this host now."""
    now = datetime.now(UTC)
    mounts = mounts_here()
    load = os.getloadavg()
    return HostRecord(
        hostname=socket.gethostname(),
        memory=_memory(),
        cpu=Cpu(
            num_cores=psutil.cpu_count(logical=False),
            num_logical_cores=psutil.cpu_count() or 1,
            model=_cpu_model(),
            architecture=platform.machine(),
        ),
        disks=tuple(disks_here()),
        network=_network(),
        system=System(
            kernel_version=platform.release(),
            os_release=_os_release(),
            uptime_seconds=now.timestamp() - psutil.boot_time(),
            load_average_1m=load[0],
            load_average_5m=load[1],
            load_average_15m=load[2],
        ),
        cache_filesystem=cache_filesystem(cache_dir, mounts),
        mounts=tuple(storing(mounts)),
        python_version=platform.python_version(),
        packages={name: _version(name) for name in PACKAGES},
        collection_timestamp=now.isoformat(timespec="seconds"),
    )


def _memory() -> Memory:
    seen = psutil.virtual_memory()._asdict()
    known: dict[str, Any] = {field.name: seen.get(field.name) for field in fields(Memory)}
    return Memory(**known)


def _network() -> tuple[NetworkInterface, ...]:
    return tuple(
        NetworkInterface(name, seen.speed or None, seen.mtu, seen.isup)
        for name, seen in sorted(psutil.net_if_stats().items())
    )


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    facts = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in facts if key.strip() == "model name"), None)


def _os_release() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
