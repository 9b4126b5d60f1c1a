"""Comparison of host names that a user gave with the names and addresses of hosts."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import psutil

from mlpstorage_bench.launch.hosts import LOOPBACK_NAMES


@dataclass(frozen=True)
class KnownHost:
    """Name and addresses of a host, as the host itself reports them."""

    name: str
    addresses: frozenset[str]
    """Addresses of its interfaces, without loopback."""

    @classmethod
    def this(cls) -> KnownHost:
        """Return name and addresses of this host."""
        addresses = (
            address.address.partition("%")[0]
            for interface in psutil.net_if_addrs().values()
            for address in interface
            if address.family in (socket.AF_INET, socket.AF_INET6)
        )
        beyond = frozenset(one for one in addresses if not ip_address(one).is_loopback)
        return cls(socket.gethostname(), beyond)

    def is_called(self, name: str) -> bool:
        """Return whether the host has this name, in any case; a short name equals its full one."""
        own, other = self.name.lower(), name.lower()
        return own == other or _short(own) == _short(other)

    def has_address_of(self, name: str) -> bool:
        """Return whether this name or address resolves, on the calling host, to this host."""
        return not self.addresses.isdisjoint(_addresses(name))


def are_same_hosts(given: Sequence[str], actual: Sequence[KnownHost]) -> bool:
    """Return whether the names, in any order, are those of the hosts, each once."""
    if len(actual) == 1 and LOOPBACK_NAMES.issuperset(map(str.lower, given)):
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
    except (socket.gaierror, UnicodeError):  # not known, or no name of a host
        return set()
    return {str(address[0]).partition("%")[0] for *_, address in found}
