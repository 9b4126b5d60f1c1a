from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlpstorage_bench.measure.audit import audit
from mlpstorage_bench.measure.process import ProcessCounters, peak_rss_bytes
from mlpstorage_bench.storage.buffers import AlignedBuffer
from mlpstorage_bench.storage.files import probe_direct_io

MIB = 1 << 20


def counters(device_bytes: int | None) -> ProcessCounters:
    return ProcessCounters(device_bytes, 0.0)


@pytest.mark.parametrize(
    ("reported", "kernel", "verdict"),
    [
        (1000 * MIB, 1000 * MIB, "ok"),
        (1000 * MIB, 1012 * MIB, "ok"),
        (1000 * MIB, 500 * MIB, "served from page cache"),
        (500 * MIB, 1000 * MIB, "foreign traffic"),
        (1000 * MIB, 0, "not measurable"),
        (0, 0, "not measurable"),
        (1000 * MIB, None, "not measurable"),
    ],
)
def test_reported_bytes_are_held_against_the_kernels(
    reported: int, kernel: int | None, verdict: str
) -> None:
    after = counters(None if kernel is None else kernel + 7)
    result = audit(0, reported, counters(7), after, edge_bytes=4 * MIB)
    assert result.verdict == verdict
    assert bool(result.reason) == (verdict != "ok")


def test_reads_that_never_reach_a_device_came_from_the_page_cache() -> None:
    result = audit(MIB, 0, counters(7), counters(7), edge_bytes=0)
    assert result.verdict == "served from page cache"


def test_the_kernels_counters_agree_with_direct_io_on_a_disk(tmp_path: Path) -> None:
    if not probe_direct_io(tmp_path):
        pytest.skip("this filesystem has no direct I/O")
    buffer = AlignedBuffer(MIB)
    before = ProcessCounters.now()
    descriptor = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR | os.O_DIRECT, 0o600)
    for number in range(32):
        os.pwritev(descriptor, [buffer.bytes], number * MIB)
    for number in range(32):
        os.preadv(descriptor, [buffer.bytes], number * MIB)
    os.close(descriptor)
    after = ProcessCounters.now()
    if after.device_bytes == before.device_bytes:
        pytest.skip("this filesystem's traffic passes no block layer (tmpfs)")
    assert audit(32 * MIB, 32 * MIB, before, after, edge_bytes=0).verdict == "ok"


def test_resident_memory_is_told_in_bytes() -> None:
    assert 10 * MIB < peak_rss_bytes() < 64 * 1024 * MIB
