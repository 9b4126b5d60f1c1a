"""Counters of network interfaces and RDMA ports, on samples in the kernel's form."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpstorage_bench.cluster.mount_counters.interfaces import (
    interface_bytes,
    interface_source,
    rdma_bytes,
)
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.source import SourceFiles

HEAD = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo
"""


def row(name: str, received: int, sent: int) -> str:
    return f"{name:>6}: {received:>8} 20299 0 0 0 0 0 0 {sent:>8} 13853 0 0 0 0 0 0\n"


DEV = HEAD + "".join(
    [row("lo", 42734626, 42734626), row("eth0", 703192309, 1516232), row("bond0", 7, 8)]
)
LO, ETH0 = Traffic(42734626, 42734626), Traffic(703192309, 1516232)


class Host:
    """A tree of /proc and /sys."""

    def __init__(self, root: Path) -> None:
        self.proc, self.sys = root / "proc", root / "sys"
        (self.proc / "self" / "net").mkdir(parents=True)
        (self.proc / "self" / "net" / "dev").write_text(DEV)
        (self.sys / "class" / "net" / "bond0" / "lower_eth0").mkdir(parents=True)

    def add_port(self, received: str, sent: str, name: str = "mlx5_0") -> None:
        counters = self.sys / "class" / "infiniband" / name / "ports" / "1" / "counters"
        counters.mkdir(parents=True)
        (counters / "port_rcv_data").write_text(f"{received}\n")
        (counters / "port_xmit_data").write_text(f"{sent}\n")

    def moved(self, *, with_loopback: bool) -> Traffic | None:
        source = interface_source(self.proc, self.sys, with_loopback=with_loopback)
        assert isinstance(source, SourceFiles)
        assert (source.source.scope, source.source.strength) == ("interfaces", "bound")
        counter = source.open_counter()
        assert counter is not None
        with counter:
            reading = counter.read()
        return None if reading is None else reading.traffic


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_received_and_sent_bytes_are_read_of_each_interface() -> None:
    assert interface_bytes(DEV) == {"lo": LO, "eth0": ETH0, "bond0": Traffic(7, 8)}


def test_interfaces_that_lie_on_others_and_loopback_are_left_out(host: Host) -> None:
    assert host.moved(with_loopback=False) == ETH0
    assert host.moved(with_loopback=True) == Traffic.sum([LO, ETH0])


def test_rdma_ports_count_in_units_of_4_bytes(host: Host) -> None:
    host.add_port("1000", "250")
    host.add_port("5", "6", "mlx5_1")
    assert host.moved(with_loopback=False) == Traffic.sum([ETH0, Traffic(4020, 1024)])


@pytest.mark.parametrize("count", ["4294967295", "N/A (no PMA)", ""])
def test_rdma_counter_that_has_stopped_leaves_no_sum(host: Host, count: str) -> None:
    assert rdma_bytes(count) is None
    host.add_port(count, "6")
    assert host.moved(with_loopback=False) is None


def test_interface_that_has_gone_leaves_no_sum(host: Host) -> None:
    source = interface_source(host.proc, host.sys, with_loopback=False)
    assert isinstance(source, SourceFiles)
    assert source.parse([DEV.replace("eth0", "eth9")]) is None


def test_host_with_nothing_but_loopback_has_a_reason(host: Host) -> None:
    lines = [line for line in DEV.splitlines(keepends=True) if "eth0" not in line]
    (host.proc / "self" / "net" / "dev").write_text("".join(lines))
    found = interface_source(host.proc, host.sys, with_loopback=False)
    assert found == "this host has no network interface but loopback"


def test_absent_list_has_a_reason(host: Host) -> None:
    (host.proc / "self" / "net" / "dev").unlink()
    found = interface_source(host.proc, host.sys, with_loopback=True)
    assert "net/dev cannot be read by this user (No such file or directory)" in str(found)


def test_this_hosts_interfaces_are_found() -> None:
    source = interface_source(Path("/proc"), Path("/sys"), with_loopback=True)
    assert isinstance(source, SourceFiles)
    counter = source.open_counter()
    assert counter is not None
    with counter:
        assert counter.read() is not None
