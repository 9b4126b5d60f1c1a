"""Differences between hosts that should be equal: a rank on a different host measures that host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mlpstorage_bench.cluster.host import PACKAGES, HostRecord
from mlpstorage_bench.units import GIB

MEMORY_TOLERANCE = 0.02
"""Relative tolerance: firmware of equal machines reserves slightly different amounts."""

CLOCK_TOLERANCE_S = 0.5
"""Clocks under NTP or PTP agree within milliseconds; they are read within tens of them."""

_MOST_NAMED = 8
"""Maximum number of hosts named for one value."""


def describe_differences(hosts: Sequence[HostRecord]) -> tuple[str, ...]:
    """Return a sentence for each fact that differs: its values, and the hosts of each value."""
    facts_by_host = {host.hostname: _facts(host) for host in hosts}
    if _is_memory_equal([host.memory.total for host in hosts]):
        for facts in facts_by_host.values():
            del facts["Memory"]
    if _are_clocks_equal([host.clock_offset_s for host in hosts]):
        for facts in facts_by_host.values():
            del facts["Clock"]
    sentences = []
    for fact in dict.fromkeys(fact for facts in facts_by_host.values() for fact in facts):
        values = {name: facts[fact] or "unknown" for name, facts in facts_by_host.items()}
        if len(set(values.values())) > 1:
            sentences.append(f"{fact} differs between hosts: {format_values(values.items())}")
    return tuple(sentences)


def format_values(values: Iterable[tuple[str, str]]) -> str:
    """Format pairs of host and value, grouped by value: `1.2 on h1, h2; 1.3 on h3`."""
    hosts_by_value: dict[str, dict[str, None]] = {}
    for host, value in values:
        hosts_by_value.setdefault(value, {})[host] = None
    return "; ".join(f"{value} on {_names(list(on))}" for value, on in hosts_by_value.items())


def _facts(host: HostRecord) -> dict[str, str | None]:
    """Return the facts that should be equal, by name; None for an unknown value."""
    release = host.system.os_release
    return {
        "CPU model": host.cpu.model,
        "Core count": _cores(host),
        "Number of usable processors": _usable_processors(host),
        "Memory": None if host.memory.total is None else f"{host.memory.total / GIB:.2f} GiB",
        "Kernel version": host.system.kernel_version,
        "OS release": None if release is None else release.get("PRETTY_NAME"),
        "Python version": host.python_version,
        "MPI library": host.mpi_library,
        "Clock": None if host.clock_offset_s is None else f"{host.clock_offset_s:+.1f} s",
        "Cache filesystem type": host.cache_filesystem.fstype,
        "Cache device model": host.cache_filesystem.model,
    } | {f"Version of {name}": host.packages.get(name) or "not installed" for name in PACKAGES}


def _cores(host: HostRecord) -> str | None:
    physical, logical = host.cpu.num_cores, host.cpu.num_logical_cores
    if physical is None and logical is None:
        return None
    return f"{physical or 'unknown'} physical and {logical or 'unknown'} logical cores"


def _usable_processors(host: HostRecord) -> str | None:
    processors = host.usable.processors
    return None if processors is None else f"{processors:g}"


def _is_memory_equal(totals: Sequence[int | None]) -> bool:
    known = [total for total in totals if total is not None]
    if len(known) < len(totals):
        return not known
    return max(known) <= min(known) * (1 + MEMORY_TOLERANCE)


def _are_clocks_equal(offsets_s: Sequence[float | None]) -> bool:
    known = [offset for offset in offsets_s if offset is not None]
    return not known or max(known) - min(known) <= CLOCK_TOLERANCE_S


def _names(hostnames: Sequence[str]) -> str:
    named = ", ".join(hostnames[:_MOST_NAMED])
    more = len(hostnames) - _MOST_NAMED
    return f"{named} and {more} more" if more > 0 else named
