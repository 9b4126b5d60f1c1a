"""Where hosts differ that should be alike: a rank on an odd host measures that host."""

from __future__ import annotations

from collections.abc import Sequence

from mlpstorage_bench.cluster.host import PACKAGES, HostRecord

GIB = 2**30

MEMORY_TOLERANCE = 0.02
"""Equal machines differ a little in what their firmware keeps for itself."""

_MOST_NAMED = 8
"""Hosts named for one value: on a large cluster the few odd ones are what matters."""


def describe_differences(hosts: Sequence[HostRecord]) -> tuple[str, ...]:
    """Return a sentence for each fact in which hosts differ: its values, and the hosts of each."""
    facts_by_host = {host.hostname: _facts(host) for host in hosts}
    if _is_memory_alike([host.memory.total for host in hosts]):
        for facts in facts_by_host.values():
            del facts["Memory"]
    sentences = []
    for fact in dict.fromkeys(fact for facts in facts_by_host.values() for fact in facts):
        hosts_by_value: dict[str, list[str]] = {}
        for hostname, facts in facts_by_host.items():
            hosts_by_value.setdefault(facts[fact] or "unknown", []).append(hostname)
        if len(hosts_by_value) > 1:
            values = "; ".join(f"{value} on {_names(on)}" for value, on in hosts_by_value.items())
            sentences.append(f"{fact} differs between hosts: {values}")
    return tuple(sentences)


def _facts(host: HostRecord) -> dict[str, str | None]:
    """Return what should be alike, by its name in a sentence; None where it is not known."""
    release = host.system.os_release
    return {
        "CPU model": host.cpu.model,
        "Core count": _cores(host),
        "Memory": None if host.memory.total is None else f"{host.memory.total / GIB:.2f} GiB",
        "Kernel version": host.system.kernel_version,
        "OS release": None if release is None else release.get("PRETTY_NAME"),
        "Python version": host.python_version,
        "Cache filesystem type": host.cache_filesystem.fstype,
        "Cache device model": host.cache_filesystem.model,
    } | {f"Version of {name}": host.packages.get(name) or "not installed" for name in PACKAGES}


def _cores(host: HostRecord) -> str | None:
    physical, logical = host.cpu.num_cores, host.cpu.num_logical_cores
    if physical is None and logical is None:
        return None
    return f"{physical or 'unknown'} physical and {logical or 'unknown'} logical cores"


def _is_memory_alike(totals: Sequence[int | None]) -> bool:
    known = [total for total in totals if total is not None]
    if len(known) < len(totals):
        return not known
    return max(known) <= min(known) * (1 + MEMORY_TOLERANCE)


def _names(hostnames: Sequence[str]) -> str:
    named = ", ".join(hostnames[:_MOST_NAMED])
    more = len(hostnames) - _MOST_NAMED
    return f"{named} and {more} more" if more > 0 else named
