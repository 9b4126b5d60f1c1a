from __future__ import annotations

import socket

import pytest

from mlpstorage_bench.launch.hostnames import KnownHost, are_same_hosts

N1 = KnownHost("n1.cluster", frozenset({"192.0.2.1", "2001:db8::1"}))
N2 = KnownHost("n2.cluster", frozenset({"192.0.2.2", "198.51.100.2"}))


@pytest.mark.parametrize(
    "given",
    [
        ["n1.cluster", "n2.cluster"],
        ["n2", "n1"],
        ["N2", "n1.CLUSTER"],
        ["n1.storage", "n2"],
        ["192.0.2.1", "198.51.100.2"],
        ["[2001:db8::1]", "n2"],
    ],
    ids=[
        "full names",
        "short names",
        "another case",
        "another domain",
        "addresses",
        "address and name",
    ],
)
def test_hosts_match_by_name_or_address(given: list[str]) -> None:
    assert are_same_hosts(given, [N1, N2])


@pytest.mark.parametrize(
    "given",
    [
        ["n1"],
        ["n1", "n3.invalid"],
        ["n1", "192.0.2.1"],
        ["n1", "n2", "n3.invalid"],
        ["192.0.2.1", "192.0.2.9"],
        ["127.0.0.1", "n2"],
    ],
    ids=["fewer", "another", "one host twice", "more", "another address", "loopback"],
)
def test_names_of_other_hosts_do_not_match(given: list[str]) -> None:
    assert not are_same_hosts(given, [N1, N2])


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", socket.gethostname()])
def test_single_host_matches_localhost_and_its_name(name: str) -> None:
    assert are_same_hosts([name], [KnownHost.this()])


def test_known_host_has_addresses_of_its_interfaces() -> None:
    this = KnownHost.this()
    for address in this.addresses:
        assert are_same_hosts([address], [this])
    assert not {"127.0.0.1", "::1"} & this.addresses
