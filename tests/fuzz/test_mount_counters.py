"""Readers of the kernel's counters of network filesystems, with texts that no kernel writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.cluster.mount_counters.ceph import object_bytes
from mlpstorage_bench.cluster.mount_counters.gluster import transport_bytes
from mlpstorage_bench.cluster.mount_counters.interfaces import interface_bytes, rdma_bytes
from mlpstorage_bench.cluster.mount_counters.juicefs import object_storage_bytes
from mlpstorage_bench.cluster.mount_counters.lustre import filesystem_name, rpc_bytes
from mlpstorage_bench.cluster.mount_counters.nfs import server_bytes
from mlpstorage_bench.cluster.mount_counters.server import server_host
from mlpstorage_bench.cluster.mount_counters.smb import share_bytes, share_name
from mlpstorage_bench.measure.counters import Traffic

SHARE = r"\\files.example\kv"
WORDS = st.sampled_from(
    [
        *("device nfs:/a mounted on /mnt with fstype nfs4 statvers=1.1", "bytes:", "read_bytes"),
        *(
            "samples",
            "[bytes]",
            "write_bytes",
            "total_sz(bytes)",
            "juicefs_object_request_data_bytes_GET",
            "read",
            "write",
            "eth0:",
            ":",
        ),
        *(f"1) {SHARE}", "Bytes read: 1  Bytes written: 2", "total_bytes_read = 1", "=", "\t"),
        *("0", "-1", "1e9", "18446744073709551615", "9" * 5000, "٣", "²", "\x00", "\ufffd", "  "),
    ]
)
LINES = st.lists(WORDS | st.text(max_size=8), max_size=9).map(" ".join)
TEXTS = st.lists(LINES, max_size=12).map("\n".join)
COUNTS = st.integers(0, 2**64 - 1)


@pytest.mark.slow
@given(TEXTS)
def test_any_text_is_read_without_an_error(text: str) -> None:
    found = [
        *(server_bytes(text, "/mnt"), share_bytes(text, SHARE), object_bytes(text)),
        object_storage_bytes(text),
        *(transport_bytes([text]), rpc_bytes([text]), *interface_bytes(text).values()),
    ]
    for traffic in found:
        assert traffic is None or min(traffic.read_bytes, traffic.write_bytes) >= 0
    assert (rdma_bytes(text) or 0) >= 0


@pytest.mark.slow
@given(st.text(max_size=40))
def test_any_source_of_a_mount_is_taken_apart(source: str) -> None:
    assert ":" not in server_host(source) or source.startswith(("[", "/", "\\"))
    assert "/" not in filesystem_name(source)
    assert share_name(source).startswith("\\\\")


@pytest.mark.slow
@given(COUNTS, COUNTS, TEXTS)
def test_counts_are_read_between_other_texts(read: int, written: int, other: str) -> None:
    expected = Traffic(read, written)
    device = "device nfs:/a mounted on /kv with fstype nfs4 statvers=1.1"
    assert server_bytes(f"{other}\n{device}\n\tbytes:\t1 2 3 4 {read} {written} 5 6 ", "/kv") == (
        expected
    )
    sizes = f"item total_sz(bytes)\n---\nread 1 {read}\nwrite 1 {written}\n"
    assert object_bytes(f"{other}\n\n{sizes}") == expected
    share = f"2) \\\\files.example\\other\nBytes read: {read}  Bytes written: {written}\n"
    assert share_bytes(f"{other}\n{share}", "\\\\files.example\\other") == expected
    assert interface_bytes(f"{other}\n kv0: {read} 1 0 0 0 0 0 0 {written} 1 0 0 0 0 0 0")[
        "kv0"
    ] == (expected)
