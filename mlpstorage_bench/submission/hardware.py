"""Hardware of the hosts of a run, as its metadata has it, for the description of a system."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from mlpstorage_bench.leaves.document import Document
from mlpstorage_bench.units import GIB

_GB = 1e9
_MBIT_PER_GBIT = 1000
_NO_DRIVE = re.compile(r"(dm-|md|loop|ram|zram|sr|fd|nbd|rbd|drbd)\d.*|(nvme.+p|[shv]d[a-z]+)\d+")
"""Names of block devices that are no drives: volumes, images, memory, partitions."""
_NO_PORT = re.compile(
    r"lo|(docker|veth|br-|virbr|ifb|dummy|tun|tap|cni|flannel|cali|bond|team|vlan|vxlan|wg|sit|gre"
    r"|lxc|podman).*|.*[.:@].*"
)
"""Names of network interfaces that are no ports of a card."""
Part = TypeVar("Part")


@dataclass(frozen=True)
class Port:
    """A port of a network card; values are None where they are not recorded."""

    is_up: bool | None
    type: str
    """Ethernet or infiniband, by the interface's name."""
    speed_gbit: float | None


@dataclass(frozen=True)
class Drive:
    """A drive; values are None where they are not recorded."""

    model: str | None
    capacity_gb: float | None
    is_nvme: bool


@dataclass(frozen=True)
class Hardware:
    """Hardware and operating system of a host; values are None where they are not recorded."""

    cpu_model: str | None
    cpu_cores: int | None
    """Physical cores of all processors."""
    memory_gib: float | None
    """Memory that the kernel uses: a little less than is installed."""
    ports: tuple[tuple[Port, int], ...]
    """Each kind of port, and the number of such ports."""
    drives: tuple[tuple[Drive, int], ...]
    """Each kind of drive, and the number of such drives."""
    os_name: str | None
    os_version: str | None


def hardware_of(metadata: Document) -> list[tuple[Hardware, int]]:
    """Return each kind of host of a run, and the number of such hosts."""
    return list(_counted(map(_hardware, metadata.parts("system_info", "hosts"))))


def _hardware(host: Document) -> Hardware:
    memory, release = host.number("memory", "total"), host.part("system", "os_release")
    return Hardware(
        cpu_model=host.text("cpu", "model") or None,
        cpu_cores=host.count("cpu", "num_cores") or None,
        memory_gib=round(memory / GIB, 1) if memory else None,
        ports=_counted(_ports(host)),
        drives=_counted(_drives(host)),
        os_name=release.text("NAME") or None,
        os_version=release.text("VERSION") or release.text("VERSION_ID") or None,
    )


def _ports(host: Document) -> Iterator[Port]:
    for interface in host.parts("network"):
        name = interface.text("name") or interface.text("interface_name")
        if not name or _NO_PORT.fullmatch(name):
            continue
        speed, is_up = interface.number("speed_mbps"), interface.flag("up")
        kind = "infiniband" if name.startswith("ib") else "ethernet"
        yield Port(is_up, kind, speed / _MBIT_PER_GBIT if speed and is_up else None)


def _drives(host: Document) -> Iterator[Drive]:
    for disk in host.parts("disks"):
        name = disk.text("name") or disk.text("device_name")
        if not name or _NO_DRIVE.fullmatch(name):
            continue
        size = disk.number("size_bytes")
        capacity = round(size / _GB, 1) if size else None
        yield Drive(disk.text("model") or None, capacity, name.startswith("nvme"))


def _counted(parts: Iterable[Part]) -> tuple[tuple[Part, int], ...]:
    return tuple(Counter(parts).items())
