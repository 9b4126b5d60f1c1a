"""Servers of mounts, and whether they are this host."""

from __future__ import annotations

import pytest

from mlpstorage_bench.cluster.mount_counters.server import is_this_host, server_host


@pytest.mark.parametrize(
    ("source", "host"),
    [
        ("nfs.example:/export", "nfs.example"),
        ("10.0.0.1:/", "10.0.0.1"),
        ("[fd00::2]:/export", "fd00::2"),
        ("kv@files.example:/export", "files.example"),
        ("//files.example/share/a", "files.example"),
        (r"\\files.example\share", "files.example"),
        (":/passive", ""),
        ("/dev/sda", ""),
        ("/a:b", ""),
        ("none", ""),
        ("", ""),
    ],
)
def test_source_of_a_mount_names_its_host(source: str, host: str) -> None:
    assert server_host(source) == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost"])
def test_addresses_of_loopback_are_this_host(host: str) -> None:
    assert is_this_host(host) is True


def test_address_of_documentation_is_not_this_host() -> None:
    assert is_this_host("198.51.100.7") is False


@pytest.mark.parametrize("host", ["", "no such name", "a" * 300, "é" * 80])
def test_host_without_an_address_is_unknown(host: str) -> None:
    assert is_this_host(host) is None
