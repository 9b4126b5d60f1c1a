"""By what a host is known: its own name, and the addresses that other names lead to."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import psutil

from mlpstorage_bench.launch.hosts import LOOPBACK_NAMES


@dataclass(frozen=True)
class KnownHost:
    """What a host says of itself."""

    name: str
    addresses: frozenset[str]
    """Of its interfaces, without loopback."""

    @classmethod
    def this(cls) -> KnownHost:
        """Return what this host says of itself."""
        addresses = (
            address.address.partition("%")[0]
            for interface in psutil.net_if_addrs().values()
            for address in interface
            if address.family in (socket.AF_INET, socket.AF_INET6)
        )
        beyond = frozenset(one for one in addresses if not ip_address(one).is_loopback)
        return cls(socket.gethostname(), beyond)

    def is_called(self, name: str) -> bool:
        """Whether it has this name; a short name stands for its full one."""
        return self.name == name or _short(self.name) == _short(name)

    def has_address_of(self, name: str) -> bool:
        """Whether this name, or address, leads to it from the host that asks."""
        return not self.addresses.isdisjoint(_addresses(name))


def are_same_hosts(given: Sequence[str], actual: Sequence[KnownHost]) -> bool:
    """Whether these names, in any order, are those of the hosts, each once."""
    if len(actual) == 1 and LOOPBACK_NAMES.issuperset(given):
        return True
    left = list(actual)
    for name in given:
        found = next((host for host in left if host.is_called(name)), None) or next(
            (host for host in left if host.has_address_of(name)), None
        )
        if found is None:
            return False
        left.remove(found)
    return not left


def _short(name: str) -> str:
    try:
        return str(ip_address(name))
    except ValueError:
        return name.partition(".")[0]


def _addresses(name: str) -> set[str]:
    try:
        found = socket.getaddrinfo(name.strip("[]"), None, type=socket.SOCK_STREAM)
    except socket.gaierror:
        return set()
    return {str(address[0]).partition("%")[0] for *_, address in found}
