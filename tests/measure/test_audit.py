"""What is reported against what the kernel counted, and that the kernel counts what we move."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlpstorage_bench.measure.audit import audit
from mlpstorage_bench.measure.device import BlockDevice
from mlpstorage_bench.measure.process import (
    ProcessCounters,
    forget_peak_rss,
    peak_rss_bytes,
    rss_bytes,
)
from mlpstorage_bench.measure.traffic import Traffic
from mlpstorage_bench.storage.buffers import AlignedBuffer
from mlpstorage_bench.storage.files import probe_direct_io

MIB = 1 << 20


def mib(read: int, write: int) -> Traffic:
    return Traffic(read * MIB, write * MIB)


@pytest.mark.parametrize(
    ("reported", "counted", "verdict", "ratio"),
    [
        (mib(0, 1000), mib(0, 1000), "ok", 1.0),
        (mib(0, 1000), mib(0, 1013), "ok", 1000 / 1013),
        (mib(500, 500), mib(500, 495), "ok", 1000 / 995),
        (mib(1000, 0), mib(500, 0), "served from page cache", 2.0),
        (mib(500, 500), mib(0, 500), "served from page cache", 2.0),
        (mib(500, 500), mib(400, 600), "served from page cache", 1.0),
        (mib(1000, 0), mib(0, 0), "served from page cache", None),
        (mib(0, 500), mib(0, 1000), "foreign traffic", 0.5),
        (mib(0, 1000), mib(0, 0), "not measurable", None),
        (mib(0, 0), mib(0, 0), "not measurable", None),
        (mib(0, 1000), None, "not measurable", None),
    ],
)
def test_reported_bytes_are_held_against_the_kernels(
    reported: Traffic, counted: Traffic | None, verdict: str, ratio: float | None
) -> None:
    result = audit(reported, counted, edge_bytes=4 * MIB, whose="this process")
    assert (result.verdict, result.ratio) == (verdict, ratio)
    assert bool(result.reason) == (verdict != "ok")


def test_what_came_from_the_page_cache_is_told_in_bytes() -> None:
    result = audit(mib(1000, 100), mib(250, 100), edge_bytes=0, whose="this process")
    assert result.cached_bytes == 750 * MIB
    assert result.reason.startswith("75.0% of reads and 0.0% of writes never reached a device")


def moved_by_direct_io(folder: Path, chunks: int) -> None:
    buffer = AlignedBuffer(MIB)
    descriptor = os.open(folder / "file", os.O_CREAT | os.O_RDWR | os.O_DIRECT, 0o600)
    for number in range(chunks):
        os.pwritev(descriptor, [buffer.bytes], number * MIB)
    for number in range(chunks):
        os.preadv(descriptor, [buffer.bytes], number * MIB)
    os.close(descriptor)


def test_the_kernels_counters_agree_with_direct_io_on_a_disk(tmp_path: Path) -> None:
    device = BlockDevice.under(tmp_path)
    if not probe_direct_io(tmp_path) or device is None:
        pytest.skip("needs a filesystem with direct I/O on a block device")
    before, device_before = ProcessCounters.now(), device.read()
    moved_by_direct_io(tmp_path, 32)
    after, device_after = ProcessCounters.now(), device.read()
    result = audit(mib(32, 32), after.since(before), edge_bytes=0, whose="this process")
    assert result.verdict == "ok"
    assert result.ratio == pytest.approx(1, abs=0.01)
    assert device_before is not None
    assert device_after is not None
    seen = device_after.traffic - device_before.traffic  # others may have used the device meanwhile
    assert seen.read_bytes >= 32 * MIB
    assert seen.write_bytes >= 32 * MIB


def test_memory_has_no_block_device() -> None:
    if Path("/dev/shm").is_dir():
        assert BlockDevice.under(Path("/dev/shm")) is None


def test_a_device_is_told_with_its_name(tmp_path: Path) -> None:
    device = BlockDevice.under(tmp_path)
    if device is None:
        pytest.skip("this filesystem is on no block device")
    assert Path("/sys/class/block", device.name).exists()


def test_the_peak_of_resident_memory_is_forgotten_and_counted_anew() -> None:
    forget_peak_rss()
    quiet = peak_rss_bytes()
    filled = bytearray(os.urandom(1)) * (64 * MIB)
    grown = peak_rss_bytes()
    assert grown >= quiet + 60 * MIB
    del filled
    forget_peak_rss()
    assert peak_rss_bytes() < grown - 30 * MIB
    assert 10 * MIB < rss_bytes() <= peak_rss_bytes()
