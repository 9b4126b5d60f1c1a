"""Limits of this process: the processors and memory that its control groups and host leave it.

A container sees its host's processors and memory everywhere but in its control group. Groups are
nested, and each one above limits this process as well (cgroups(7); both versions).
"""

from __future__ import annotations

import re
import resource
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.process.control_groups import (
    PROC,
    ROOT,
    ControlGroup,
    control_groups,
    number_of,
    numbers_of,
    text_of,
)
from mlpstorage_bench.units import GIB

_NO_LIMIT_BYTES = 1 << 62
"""Version 1 writes a number near 2^63 where there is no limit."""
_KIB = 1024


@dataclass(frozen=True)
class Processors:
    """Processors that this process may use."""

    number: float
    """Number of processors, or their worth of time."""
    of: str
    """Limit, in words: a quota, a binding."""


@dataclass(frozen=True)
class MemoryLimit:
    """Memory that this process and others of its group or host may use together."""

    total_bytes: int
    available_bytes: int
    """Bytes that are free, or can be freed."""
    of: str
    """Limit, in words: the host, or a control group."""


@dataclass(frozen=True)
class Limits:
    """The narrowest limits of this process; None where none is known."""

    processors: Processors | None
    memory: MemoryLimit | None
    """The limit that leaves the fewest bytes available."""
    total_memory: MemoryLimit | None
    """The limit with the smallest total: no process can ever have more."""
    process_memory_bytes: int | None
    """Limit of each process's address space (`ulimit -v`)."""
    host_memory_bytes: int | None

    def describe(self, host_processors: int | None) -> list[str]:
        """Return a sentence for each limit that is narrower than the host."""
        sentences = []
        processors, memory, host = self.processors, self.total_memory, self.host_memory_bytes
        if processors and host_processors and processors.number < host_processors:
            sentences.append(
                f"processes may use {processors.number:g} of {host_processors} processors "
                f"({processors.of})"
            )
        if memory and host and memory.total_bytes < host:
            sentences.append(
                f"processes may use {memory.total_bytes / GIB:.2f} of {host / GIB:.2f} GiB of "
                f"memory ({memory.of})"
            )
        if self.process_memory_bytes:
            sentences.append(
                f"a process may use {self.process_memory_bytes / GIB:.2f} GiB of addresses "
                "(ulimit -v)"
            )
        return sentences


def read_limits(proc: Path = PROC, root: Path = ROOT) -> Limits:
    """Return the limits of this process.

    `proc` is the mount point of procfs, and `root` the directory of the paths that it names.
    """
    groups = list(control_groups(proc, root))
    memory = [*_host_memory(proc), *(one for group in groups for one in _group_memory(group))]
    processors = [*_affinity(proc), *(one for group in groups for one in _quota(group))]
    soft, _hard = resource.getrlimit(resource.RLIMIT_AS)
    return Limits(
        processors=min(processors, key=lambda one: one.number, default=None),
        memory=min(memory, key=lambda one: one.available_bytes, default=None),
        total_memory=min(memory, key=lambda one: one.total_bytes, default=None),
        process_memory_bytes=None if soft == resource.RLIM_INFINITY else soft,
        host_memory_bytes=next((one.total_bytes for one in _host_memory(proc)), None),
    )


def processor_share(
    own: Collection[int], of_host: Sequence[Collection[int]], quota: float | None
) -> float:
    """Return the processors that a process has if all processes of a job on its host work.

    `own` are the processors to which it is bound, `of_host` those of each process, itself included.
    `quota` is what their control group has together.
    """
    bound = sum(1 / sum(number in other for other in of_host) for number in own)
    return bound if quota is None else min(bound, quota / len(of_host))


def processor_quota(proc: Path = PROC, root: Path = ROOT) -> float | None:
    """Return the narrowest quota of processors of this process's control groups."""
    quotas = [one.number for group in control_groups(proc, root) for one in _quota(group)]
    return min(quotas, default=None)


def _host_memory(proc: Path) -> Iterator[MemoryLimit]:
    facts = numbers_of(proc / "meminfo")
    total, free = facts.get("MemTotal:", 0), facts.get("MemFree:")
    available = facts.get("MemAvailable:", free)
    if total and available is not None:
        yield MemoryLimit(total * _KIB, available * _KIB, "the host's memory")


def _affinity(proc: Path) -> Iterator[Processors]:
    """Yield the processors to which this process is bound, by itself or by a cpuset."""
    match = re.search(
        r"^Cpus_allowed_list:\s*([\d,-]+)$", text_of(proc / "self/status"), re.MULTILINE
    )
    if match is None:
        return
    number = 0
    for part in match[1].split(","):
        first, _, last = part.partition("-")
        number += int(last or first) - int(first) + 1
    yield Processors(number, "the processors that they are bound to")


def _group_memory(group: ControlGroup) -> Iterator[MemoryLimit]:
    stat = numbers_of(group.directory / "memory.stat")
    names = ["memory.limit_in_bytes"]
    usage, prefix = "memory.usage_in_bytes", "total_"
    if group.is_unified:
        names = ["memory.max", "memory.high"]
        usage, prefix = "memory.current", ""
    used = number_of(group.directory / usage) or 0
    freeable = stat.get(f"{prefix}inactive_file", 0) + stat.get(f"{prefix}active_file", 0)
    limits = {
        f"{name} of control group {group.name}": number_of(group.directory / name) for name in names
    }
    above = f"a control group above {group.name}"
    limits[above] = stat.get("hierarchical_memory_limit")  # of version 1, also of hidden groups
    for of, limit in limits.items():
        if limit is not None and limit < _NO_LIMIT_BYTES:
            available = max(0, limit - max(0, used - freeable))
            yield MemoryLimit(limit, available, of)


def _quota(group: ControlGroup) -> Iterator[Processors]:
    if group.is_unified:
        quota, _, period = text_of(group.directory / "cpu.max").strip().partition(" ")
    else:
        quota = text_of(group.directory / "cpu.cfs_quota_us").strip()
        period = text_of(group.directory / "cpu.cfs_period_us").strip()
    if quota.isdecimal() and period.isdecimal() and int(period) > 0:
        number = int(quota) / int(period)
        yield Processors(number, f"the cpu quota of control group {group.name}")
