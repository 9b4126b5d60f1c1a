"""Hosts of a run in the reference's form: its keys first, in its order, then ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from mlpstorage_bench.cluster.host import HostRecord
from mlpstorage_bench.cluster.kernel_counters import OF_DISK, OF_INTERFACE, Counters

_OWN_FORM = frozenset({"counters", "disks", "network", "system"})
"""Fields of a record that have another form in the reference."""


def host_in_reference_form(host: HostRecord, ranks: Sequence[int]) -> dict[str, object]:
    """Return a host for JSON: hardware, counters since boot, system, and our additions."""
    facts = asdict(host)
    counters = host.counters
    return {
        "hostname": host.hostname,
        "memory": facts["memory"],
        "collection_timestamp": host.collection_timestamp,
        "cpu": facts["cpu"],
        "disks": None
        if host.disks is None
        else [
            _device("device_name", OF_DISK, counters.disks.get(disk.name), asdict(disk))
            for disk in host.disks
        ],
        "network": None
        if host.network is None
        else [
            _device("interface_name", OF_INTERFACE, counters.interfaces.get(one.name), asdict(one))
            for one in host.network
        ],
        "system": {
            "hostname": host.hostname,
            **facts["system"],
            "running_processes": counters.running_processes,
            "total_processes": counters.total_processes,
        },
        **{name: value for name, value in facts.items() if name not in _OWN_FORM},
        "ranks": list(ranks),
    }


def _device(
    key: str, names: Sequence[str], counters: Counters | None, own: dict[str, object]
) -> dict[str, object]:
    """Return a device with its counters and our facts; `key` is the reference's for its name."""
    name = own.pop("name")
    return {key: name, **{one: (counters or {}).get(one) for one in names}, **own}
