"""What is reported against what the kernel counted, and that the kernel counts what we move."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import pytest

from mlpstorage_bench.measure.audit import audit
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.device import BlockDevice
from mlpstorage_bench.measure.process import (
    cpu_s,
    forget_peak_rss,
    open_process_counter,
    peak_rss_bytes,
    rss_bytes,
)
from mlpstorage_bench.storage.buffers import AlignedBuffer
from mlpstorage_bench.storage.files import probe_direct_io
from mlpstorage_bench.units import MIB


def mib(read: int, write: int) -> Traffic:
    return Traffic(read * MIB, write * MIB)


@pytest.mark.parametrize(
    ("reported", "counted", "verdict", "ratio"),
    [
        (mib(1000, 0), mib(990, 0), "served from page cache", 1000 / 990),
        (mib(1000, 0), mib(991, 0), "ok", 1000 / 991),
        (mib(100, 0), mib(96, 0), "ok", 100 / 96),
        (mib(100, 0), mib(95, 0), "served from page cache", 100 / 95),
        (mib(0, 1000), mib(0, 1000), "ok", 1.0),
        (mib(0, 1000), mib(0, 1010), "ok", 1000 / 1010),
        (mib(0, 1000), mib(0, 1011), "foreign traffic", 1000 / 1011),
        (mib(500, 500), mib(500, 495), "ok", 1000 / 995),
        (mib(1000, 0), mib(500, 0), "served from page cache", 2.0),
        (mib(500, 500), mib(0, 500), "served from page cache", 2.0),
        (mib(500, 500), mib(400, 600), "served from page cache", 1.0),
        (mib(1000, 0), mib(0, 0), "served from page cache", None),
        (mib(0, 500), mib(0, 1000), "foreign traffic", 0.5),
        (mib(0, 1000), mib(0, 0), "served from page cache", None),
        (mib(0, 0), mib(0, 0), "not measurable", None),
        (mib(0, 1000), None, "not measurable", None),
    ],
)
def test_reported_bytes_are_held_against_the_kernels(
    reported: Traffic, counted: Traffic | None, verdict: str, ratio: float | None
) -> None:
    result = audit(reported, counted, doubtful_bytes=4 * MIB, whose="this process")
    assert (result.verdict, result.ratio) == (verdict, ratio)
    assert bool(result.reason) == (verdict != "ok")


def test_what_came_from_the_page_cache_is_told_in_bytes() -> None:
    result = audit(mib(1000, 100), mib(250, 100), doubtful_bytes=0, whose="this process")
    assert result.cached_bytes == 750 * MIB
    assert result.reason.startswith("75.0% of reads and 0.0% of writes never reached a device")


def test_what_is_within_the_tolerance_is_told_in_bytes_too() -> None:
    result = audit(mib(1000, 100), mib(995, 110), doubtful_bytes=0, whose="this process")
    assert (result.verdict, result.cached_bytes) == ("ok", 5 * MIB)


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
    of_process, of_device = open_process_counter(), device.open_counter()
    assert of_process is not None
    assert of_device is not None
    with of_process, of_device:
        before, device_before = of_process.read(), of_device.read()
        moved_by_direct_io(tmp_path, 32)
        after, device_after = of_process.read(), of_device.read()
    assert before is not None
    assert after is not None
    counted = after.traffic - before.traffic
    result = audit(mib(32, 32), counted, doubtful_bytes=0, whose="this process")
    assert result.verdict == "ok"
    assert result.ratio == pytest.approx(1, abs=0.01)
    assert device_before is not None
    assert device_after is not None
    seen = device_after.traffic - device_before.traffic  # others may have used the device meanwhile
    assert seen.read_bytes >= 32 * MIB
    assert seen.write_bytes >= 32 * MIB


def test_a_reading_is_of_a_moment_within_its_call() -> None:
    counter = open_process_counter()
    if counter is None:
        pytest.skip("this kernel keeps no count for a process")
    with counter:
        before_ns = time.perf_counter_ns()
        reading = counter.read()
        after_ns = time.perf_counter_ns()
    assert reading is not None
    assert before_ns <= reading.moment_ns <= after_ns


def test_processor_time_is_that_of_the_system_too() -> None:
    def system_s() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_stime

    before, system_before = cpu_s(), system_s()
    zeros = bytearray(64 * MIB)
    with Path("/dev/zero").open("rb", buffering=0) as source:
        while system_s() - system_before < 0.1:  # the kernel fills it
            source.readinto(zeros)
    system = system_s() - system_before
    user = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    assert cpu_s() - before >= system
    assert cpu_s() >= user + system


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


def test_a_devices_requests_are_counted_with_their_time(tmp_path: Path) -> None:
    device = BlockDevice.under(tmp_path)
    counter = None if device is None else device.open_counter()
    if counter is None:
        pytest.skip("no block device under the temporary directory")
    with counter:
        before = counter.read()
        descriptor = os.open(tmp_path / "file", os.O_CREAT | os.O_WRONLY)
        os.write(descriptor, bytes(1 << 24))
        os.fsync(descriptor)
        os.close(descriptor)
        after = counter.read()
    assert before is not None
    assert after is not None
    done = after.traffic - before.traffic
    assert done.write_bytes >= 1 << 24
    assert done.writes >= 1
    assert 0 < done.write_ms < 600_000
