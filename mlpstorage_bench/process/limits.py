"""Limits of this process: the processors and memory that its control groups and host leave it.

A container sees its host's processors and memory everywhere but in its control group. Groups are
nested, and each one above limits this process as well (cgroups(7); both versions).
"""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlpstorage_bench.units import GIB

PROC = Path("/proc")
ROOT = Path("/")
_NO_LIMIT_BYTES = 1 << 62
"""Version 1 writes a number near 2^63 where there is no limit."""
_KIB = 1024
_UNIFIED = ""
"""Controller of the hierarchy of version 2 in /proc/self/cgroup: it has them all."""


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
    groups = list(_groups(proc, root))
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


def _host_memory(proc: Path) -> Iterator[MemoryLimit]:
    facts = _numbers(proc / "meminfo")
    total, free = facts.get("MemTotal:", 0), facts.get("MemFree:")
    available = facts.get("MemAvailable:", free)
    if total and available is not None:
        yield MemoryLimit(total * _KIB, available * _KIB, "the host's memory")


def _affinity(proc: Path) -> Iterator[Processors]:
    """Yield the processors to which this process is bound, by itself or by a cpuset."""
    match = re.search(
        r"^Cpus_allowed_list:\s*([\d,-]+)$", _text(proc / "self/status"), re.MULTILINE
    )
    if match is None:
        return
    number = 0
    for part in match[1].split(","):
        first, _, last = part.partition("-")
        number += int(last or first) - int(first) + 1
    yield Processors(number, "the processors that they are bound to")


@dataclass(frozen=True)
class _Group:
    """One control group of this process, in one hierarchy."""

    directory: Path
    """Its directory below the root."""
    name: str
    """Its directory as this process names it."""
    is_unified: bool
    """Whether it is of version 2."""


def _groups(proc: Path, root: Path) -> Iterator[_Group]:
    """Yield the groups of this process in every hierarchy, each with all groups above it."""
    paths = {}
    for line in _text(proc / "self/cgroup").split("\n"):
        _number, _, rest = line.partition(":")
        controllers, separator, path = rest.partition(":")
        if separator:
            paths.update(dict.fromkeys(controllers.split(","), path))
    for mount in _mounts(proc):
        for controller in mount.controllers & paths.keys():
            within = _within(paths[controller], mount.root)
            for depth in range(len(within), -1, -1):
                name = Path(mount.point, *within[:depth])
                directory = root / name.relative_to("/")
                yield _Group(directory, str(name), is_unified=controller == _UNIFIED)


@dataclass(frozen=True)
class _Mount:
    """A mounted hierarchy of control groups."""

    root: str
    """The group at its mount point."""
    point: str
    controllers: set[str]
    """Those that limit processors or memory; of version 2, `_UNIFIED`."""


def _mounts(proc: Path) -> Iterator[_Mount]:
    for line in _text(proc / "self/mountinfo").split("\n"):
        before, _, after = line.partition(" - ")
        fields, source = before.split(" "), after.split(" ")
        if len(fields) < 6 or len(source) < 3 or not fields[4].startswith("/"):  # noqa: PLR2004 - as in proc_pid_mountinfo(5)
            continue
        point = (_unescape(fields[3]), _unescape(fields[4]))
        if source[0] == "cgroup2":
            yield _Mount(*point, {_UNIFIED})
        elif source[0] == "cgroup":
            yield _Mount(*point, {"memory", "cpu"} & {*source[2].split(",")})


def _unescape(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda escape: chr(int(escape[1], 8)), field)


def _within(path: str, mount_root: str) -> list[str]:
    """Return the names from a mount's root to a group; none where the group is not below it.

    A container may see the path of its group on the host, or one that leads out of its own root.
    """
    names, above = [*Path(path).parts[1:]], [*Path(mount_root).parts[1:]]
    is_below = names[: len(above)] == above and ".." not in names
    return names[len(above) :] if is_below else []


def _group_memory(group: _Group) -> Iterator[MemoryLimit]:
    stat = _numbers(group.directory / "memory.stat")
    names = ["memory.limit_in_bytes"]
    usage, prefix = "memory.usage_in_bytes", "total_"
    if group.is_unified:
        names = ["memory.max", "memory.high"]
        usage, prefix = "memory.current", ""
    used = _number(group.directory / usage) or 0
    freeable = stat.get(f"{prefix}inactive_file", 0) + stat.get(f"{prefix}active_file", 0)
    limits = {
        f"{name} of control group {group.name}": _number(group.directory / name) for name in names
    }
    above = f"a control group above {group.name}"
    limits[above] = stat.get("hierarchical_memory_limit")  # of version 1, also of hidden groups
    for of, limit in limits.items():
        if limit is not None and limit < _NO_LIMIT_BYTES:
            available = max(0, limit - max(0, used - freeable))
            yield MemoryLimit(limit, available, of)


def _quota(group: _Group) -> Iterator[Processors]:
    if group.is_unified:
        quota, _, period = _text(group.directory / "cpu.max").strip().partition(" ")
    else:
        quota = _text(group.directory / "cpu.cfs_quota_us").strip()
        period = _text(group.directory / "cpu.cfs_period_us").strip()
    if quota.isdecimal() and period.isdecimal() and int(period) > 0:
        number = int(quota) / int(period)
        yield Processors(number, f"the cpu quota of control group {group.name}")


def _text(path: Path) -> str:
    """Return a file's text; '' where it is missing or hidden."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _numbers(path: Path) -> dict[str, int]:
    """Return the numbers of a file with lines of a name, a number and perhaps a unit."""
    found = {}
    for line in _text(path).split("\n"):
        match line.split():
            case [name, number, *_] if number.isdecimal():
                found[name] = int(number)
            case _:
                pass
    return found
