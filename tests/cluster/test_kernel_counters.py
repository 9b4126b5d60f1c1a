"""Counters of disks and networks, as the kernel of any age shows them."""

from __future__ import annotations

from pathlib import Path

from mlpstorage_bench.cluster.host import at_end, describe_host
from mlpstorage_bench.cluster.kernel_counters import (
    OF_DISK,
    OF_INTERFACE,
    KernelCounters,
    read_counters,
)
from mlpstorage_bench.cluster.reference_hosts import host_in_reference_form

NOW = " 259 0 nvme0n1 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n"
OLD = " 8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n"
INTERFACES = """Inter-|   Receive  |  Transmit
 face |bytes    packets
    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
eth0:17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
"""


def proc(folder: Path, diskstats: str = NOW) -> Path:
    (folder / "net").mkdir()
    (folder / "diskstats").write_text(diskstats)
    (folder / "net" / "dev").write_text(INTERFACES)
    (folder / "loadavg").write_text("0.19 4.60 10.78 3/2811 12345\n")
    return folder


def test_counters_have_the_names_of_the_reference(tmp_path: Path) -> None:
    counters = read_counters(proc(tmp_path))
    assert counters.disks["nvme0n1"] == dict(zip(OF_DISK, range(1, 18), strict=True))
    assert counters.interfaces["lo"] == dict(zip(OF_INTERFACE, range(1, 17), strict=True))
    assert counters.interfaces["eth0"]["tx_bytes"] == 25
    assert (counters.running_processes, counters.total_processes) == (3, 2811)


def test_counters_that_an_older_kernel_lacks_are_none(tmp_path: Path) -> None:
    disk = read_counters(proc(tmp_path, OLD)).disks["sda"]
    assert disk["weighted_time_doing_ios_ms"] == 11
    assert disk["discards_completed"] is None
    assert disk["time_flushing_ms"] is None


def test_hidden_counters_are_none(tmp_path: Path) -> None:
    assert read_counters(tmp_path) == KernelCounters()


def test_host_has_the_keys_of_the_reference_first(tmp_path: Path) -> None:
    host = host_in_reference_form(describe_host(tmp_path), [0, 1])
    assert list(host)[:7] == [
        *("hostname", "memory", "collection_timestamp", "cpu", "disks", "network", "system"),
    ]
    assert host["ranks"] == [0, 1]
    disks, network = host["disks"], host["network"]
    assert isinstance(disks, list)
    assert isinstance(network, list)
    for disk in disks:
        assert list(disk)[:18] == ["device_name", *OF_DISK]
    for interface in network:
        assert list(interface)[:17] == ["interface_name", *OF_INTERFACE]


def test_host_at_the_end_has_later_counters_and_the_same_facts(tmp_path: Path) -> None:
    before = describe_host(tmp_path)
    after = at_end(before)
    assert after.collection_timestamp >= before.collection_timestamp
    assert after.system.uptime_seconds > before.system.uptime_seconds
    assert (after.cpu, after.mounts) == (before.cpu, before.mounts)
