"""Where hosts differ that should be alike: a rank on an odd host measures the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mlpstorage_bench.cluster.host import PACKAGES, HostRecord

GIB = 2**30

MEMORY_TOLERANCE = 0.02
"""Equal machines differ a little in what their firmware keeps for itself."""

_MOST_NAMED = 8
"""Hosts named for one value; on a large cluster the odd ones are what matters."""

_Fact = Callable[[HostRecord], object]

_FACTS: dict[str, _Fact] = {
    "CPU model": lambda host: host.cpu.model,
    "core count": lambda host: _cores(host),
    "kernel version": lambda host: host.system.kernel_version,
    "OS release": lambda host: _os_name(host),
    "Python version": lambda host: host.python_version,
    "cache filesystem type": lambda host: host.cache_filesystem.fstype,
    "cache device model": lambda host: host.cache_filesystem.model,
}


def describe_differences(hosts: Sequence[HostRecord]) -> tuple[str, ...]:
    """Return a sentence for each fact in which hosts differ: its values, and the hosts of each."""
    sentences = [_sentence(fact, hosts, value) for fact, value in _FACTS.items()]
    sentences += [
        _sentence(f"version of {name}", hosts, _package_version(name)) for name in PACKAGES
    ]
    if not _is_memory_alike(hosts):
        sentences.append(_sentence("memory", hosts, _memory))
    return tuple(sentence for sentence in sentences if sentence)


def _sentence(fact: str, hosts: Sequence[HostRecord], value: _Fact) -> str:
    """Return "FACT differs between hosts: VALUE on HOST, HOST; VALUE on HOST", or ''."""
    hosts_by_value: dict[object, list[str]] = {}
    for host in hosts:
        hosts_by_value.setdefault(value(host), []).append(host.hostname)
    if len(hosts_by_value) < 2:  # noqa: PLR2004 - it takes two to differ
        return ""
    parts = [
        f"{'unknown' if known is None else known} on {_names(named)}"
        for known, named in hosts_by_value.items()
    ]
    return f"{fact} differs between hosts: {'; '.join(parts)}"


def _names(hostnames: Sequence[str]) -> str:
    named = ", ".join(hostnames[:_MOST_NAMED])
    more = len(hostnames) - _MOST_NAMED
    return f"{named} and {more} more" if more > 0 else named


def _cores(host: HostRecord) -> str | None:
    physical, logical = host.cpu.num_cores, host.cpu.num_logical_cores
    if physical is None and logical is None:
        return None
    return f"{physical or 'unknown'} physical and {logical or 'unknown'} logical cores"


def _os_name(host: HostRecord) -> str | None:
    release = host.system.os_release
    return None if release is None else release.get("PRETTY_NAME")


def _package_version(name: str) -> _Fact:
    return lambda host: host.packages.get(name, None) or "not installed"


def _memory(host: HostRecord) -> str | None:
    total = host.memory.total
    return None if total is None else f"{total / GIB:.2f} GiB"


def _is_memory_alike(hosts: Sequence[HostRecord]) -> bool:
    known = [host.memory.total for host in hosts if host.memory.total is not None]
    if len(known) < len(hosts):
        return not known
    return max(known) <= min(known) * (1 + MEMORY_TOLERANCE)
