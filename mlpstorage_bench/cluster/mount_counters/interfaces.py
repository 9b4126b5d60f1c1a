"""Bytes of this host's network interfaces and RDMA ports: a bound of what any filesystem moved.

/proc/net/dev has a line for each interface, `eth0: ` and 16 numbers: the first is bytes received,
the ninth bytes sent. `port_rcv_data` and `port_xmit_data` of an RDMA port count units of 4 bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mlpstorage_bench.cluster.mount_counters.count import parse_count
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.source import Source, SourceFiles

LOOPBACK = "lo"
_RECEIVED, _SENT = 0, 8
_RDMA_UNIT_BYTES = 4
_FULL = 2**32 - 1
"""Value at which a counter of 32 bits stops."""
_RDMA_COUNTERS = ("port_rcv_data", "port_xmit_data")


def interface_source(proc: Path, sysfs: Path, *, with_loopback: bool) -> SourceFiles | str:
    """Return the counters of the interfaces through which traffic leaves this host.

    Those that lie on others (bonds, VLANs, bridges) are left out: the others count their bytes. A
    frame that is counted twice all the same loosens the bound, and a missing one would break it.
    """
    path = proc / "self" / "net" / "dev"
    try:
        names = [*interface_bytes(path.read_text(encoding="utf-8", errors="replace"))]
    except OSError as error:
        return f"{path} cannot be read by this user ({error.strerror})"
    used = [
        name
        for name in names
        if (with_loopback or name != LOOPBACK) and not _lies_on_another(sysfs, name)
    ]
    ports = _rdma_ports(sysfs)
    if not used and not ports:
        return "this host has no network interface but loopback"
    counters = [str(port / name) for port in ports for name in _RDMA_COUNTERS]
    name = "all network interfaces" if with_loopback else "the network interfaces but loopback"
    return SourceFiles(
        Source(name, "interfaces", "bound"),
        (str(path), *counters),
        partial(_sum, tuple(used)),
    )


def interface_bytes(text: str) -> dict[str, Traffic]:
    """Return the bytes received (read) and sent (written) of each interface."""
    found = {}
    for line in text.split("\n"):
        name, colon, numbers = line.rpartition(":")
        counts = [parse_count(word) for word in numbers.split()]
        match (colon, counts[_RECEIVED : _SENT + 1 : _SENT]):
            case (":", [int(received), int(sent)]):
                found[name.strip()] = Traffic(received, sent)
    return found


def rdma_bytes(text: str) -> int | None:
    """Return the bytes of a counter of an RDMA port; None if it is no number, or has stopped."""
    count = parse_count(text.strip())
    return None if count is None or count == _FULL else count * _RDMA_UNIT_BYTES


def _sum(names: Sequence[str], texts: Sequence[str]) -> Traffic | None:
    """Return the bytes of interfaces and RDMA ports; None if one of them is missing."""
    interfaces = interface_bytes(texts[0])
    rdma = [rdma_bytes(text) for text in texts[1:]]
    known = [count for count in rdma if count is not None]
    if len(known) < len(rdma) or not interfaces.keys() >= set(names):
        return None
    ports = [Traffic(*pair) for pair in zip(known[::2], known[1::2], strict=True)]
    return Traffic.sum([*(interfaces[name] for name in names), *ports])


def _rdma_ports(sysfs: Path) -> list[Path]:
    """Return the directories of counters of the RDMA ports that have them."""
    counters = sorted((sysfs / "class" / "infiniband").glob("*/ports/*/counters"))
    return [
        path for path in counters if all(os.access(path / one, os.R_OK) for one in _RDMA_COUNTERS)
    ]


def _lies_on_another(sysfs: Path, name: str) -> bool:
    try:
        links = list((sysfs / "class" / "net" / name).iterdir())
    except OSError:
        return False  # sysfs of another network namespace
    return any(link.name.startswith("lower_") for link in links)
