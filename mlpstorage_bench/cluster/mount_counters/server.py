"""Whether a mount's server is this host, whose traffic to itself passes the loopback interface."""

from __future__ import annotations

import socket
from ipaddress import ip_address

_ANY_PORT = 9


def server_host(source: str) -> str:
    """Return the host in a mount's source (`host:/path`, `//host/share`); '' if it has none."""
    if source.startswith(("//", "\\\\")):
        return source.replace("\\", "/").strip("/").partition("/")[0]
    if source.startswith("["):
        return source[1:].partition("]")[0]
    host, colon, _ = source.partition(":")
    return host.rpartition("@")[2] if colon and "/" not in host else ""


def is_this_host(host: str) -> bool | None:
    """Return whether a host's name or address is one of this host; None if it is not known."""
    try:
        found = socket.getaddrinfo(host, _ANY_PORT, type=socket.SOCK_DGRAM) if host else []
    except (OSError, UnicodeError):
        return None
    return any(_is_local(family, address) for family, _, _, _, address in found) if found else None


def _is_local(family: int, address: tuple[object, ...]) -> bool:
    """Return whether packets to an address would come from it, or from loopback; none is sent."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(address)
        except OSError:
            return False  # no route, so that no server can be there
        sender = str(probe.getsockname()[0])
    return sender == address[0] or ip_address(sender.partition("%")[0]).is_loopback
