"""Audit of reported bytes, and the kernel counters behind it."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.measure.audit import TOLERANCE, audit, audit_underlying
from mlpstorage_bench.measure.counters import Traffic
from mlpstorage_bench.measure.device import BlockDevice, Underlying, UnderlyingTraffic
from mlpstorage_bench.measure.process import (
    cpu_s,
    open_process_counter,
    peak_rss_bytes,
    reset_peak_rss,
    rss_bytes,
)
from mlpstorage_bench.storage.buffers import AlignedBuffer
from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.units import MIB


def mib(read: int, write: int) -> Traffic:
    return Traffic(read * MIB, write * MIB)


@pytest.mark.parametrize(
    ("reported", "counted", "verdict", "ratio"),
    [
        (mib(1000, 0), mib(990, 0), "served from page cache", 1000 / 990),
        (mib(1000, 0), mib(991, 0), "ok", 1000 / 991),
        (mib(100, 0), mib(96, 0), "bounded", None),
        (mib(100, 0), mib(95, 0), "served from page cache", 100 / 95),
        (mib(0, 1000), mib(0, 1000), "ok", 1.0),
        (mib(0, 1000), mib(0, 1010), "ok", 1000 / 1010),
        (mib(0, 1000), mib(0, 1011), "foreign traffic", 1000 / 1011),
        (mib(0, 100), mib(0, 108), "bounded", None),
        (mib(0, 100), mib(0, 109), "foreign traffic", 100 / 109),
        (mib(500, 500), mib(491, 491), "served from page cache", 1000 / 982),
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
def test_audit_compares_reported_with_counted_bytes(
    reported: Traffic, counted: Traffic | None, verdict: str, ratio: float | None
) -> None:
    result = audit(reported, counted, doubtful=mib(4, 4), counted_by="this process")
    assert (result.verdict, result.ratio) == (verdict, ratio)
    assert bool(result.reason) == (verdict != "ok")


BYTES = st.integers(0, 1 << 40)
TRAFFIC = st.builds(Traffic, BYTES, BYTES)


@pytest.mark.slow
@given(TRAFFIC, st.floats(0.9, 1.1) | st.floats(0, 4), TRAFFIC)
def test_an_ok_is_within_the_tolerance_whatever_was_in_flight(
    reported: Traffic, factor: float, doubtful: Traffic
) -> None:
    counted = Traffic(round(reported.read_bytes * factor), round(reported.write_bytes * factor))
    result = audit(reported, counted, doubtful=doubtful, counted_by="this process")
    if result.verdict == "ok":
        assert result.ratio == pytest.approx(1, abs=TOLERANCE + 1e-9)
        assert result.cached_bytes <= TOLERANCE * counted.total
    exact = audit(reported, counted, doubtful=Traffic(0, 0), counted_by="this process")
    assert exact.verdict != "bounded"
    assert result.verdict in {exact.verdict, "bounded"}


def test_a_difference_that_was_in_flight_says_nothing_and_names_the_way_out() -> None:
    result = audit(mib(100, 0), mib(40, 0), doubtful=mib(64, 0), counted_by="this process")
    assert (result.verdict, result.ratio, result.cached_bytes) == ("bounded", None, 60 * MIB)
    assert result.reason == (
        "the kernel counted 60.0 MiB less than was reported, and 64.0 MiB were in flight when its "
        "counters were read: this neither refutes nor confirms the result. Measure for longer, or "
        "with fewer or smaller chunks in flight"
    )


def test_bottom_devices_confirm_nothing_beyond_what_was_in_flight() -> None:
    below = UnderlyingTraffic(Underlying((BlockDevice("254:0", "vda"),)), mib(40, 0))
    result = audit_underlying(mib(100, 0), below, doubtful=mib(64, 0), host="h0")
    assert (result.verdict, result.cached_bytes) == ("bounded", 60 * MIB)


def test_bytes_from_page_cache_are_reported() -> None:
    result = audit(mib(1000, 100), mib(250, 100), doubtful=mib(0, 0), counted_by="this process")
    assert result.cached_bytes == 750 * MIB
    assert result.reason.startswith("75.0% of reads and 0.0% of writes never reached a device")


def test_cached_bytes_within_tolerance_are_reported() -> None:
    result = audit(mib(1000, 100), mib(995, 110), doubtful=mib(0, 0), counted_by="this process")
    assert (result.verdict, result.cached_bytes) == ("ok", 5 * MIB)


def moved_by_direct_io(folder: Path, chunks: int) -> None:
    buffer = AlignedBuffer(MIB)
    descriptor = os.open(folder / "file", os.O_CREAT | os.O_RDWR | os.O_DIRECT, 0o600)
    for number in range(chunks):
        os.pwritev(descriptor, [buffer.bytes], number * MIB)
    for number in range(chunks):
        os.preadv(descriptor, [buffer.bytes], number * MIB)
    os.close(descriptor)


def test_kernel_counters_agree_with_direct_io(tmp_path: Path) -> None:
    device = BlockDevice.under(tmp_path)
    if not probe_direct_io(tmp_path).is_available or device is None:
        pytest.skip("needs a filesystem with direct I/O on a block device")
    process_counter, device_counter = open_process_counter(), device.open_counter()
    assert process_counter is not None
    assert device_counter is not None
    with process_counter, device_counter:
        before, device_before = process_counter.read(), device_counter.read()
        moved_by_direct_io(tmp_path, 32)
        after, device_after = process_counter.read(), device_counter.read()
    assert before is not None
    assert after is not None
    counted = after.traffic - before.traffic
    result = audit(mib(32, 32), counted, doubtful=mib(0, 0), counted_by="this process")
    assert result.verdict == "ok"
    assert result.ratio == pytest.approx(1, abs=0.01)
    assert device_before is not None
    assert device_after is not None
    seen = device_after.traffic - device_before.traffic  # other processes may use the device, too
    assert seen.read_bytes >= 32 * MIB
    assert seen.write_bytes >= 32 * MIB


def test_reading_has_a_time_within_its_call() -> None:
    counter = open_process_counter()
    if counter is None:
        pytest.skip("this kernel has no counters of a process")
    with counter:
        before_ns = time.perf_counter_ns()
        reading = counter.read()
        after_ns = time.perf_counter_ns()
    assert reading is not None
    assert before_ns <= reading.moment_ns <= after_ns


@pytest.mark.slow
def test_cpu_time_includes_system_time() -> None:
    def system_s() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_stime

    before, system_before = cpu_s(), system_s()
    zeros = bytearray(64 * MIB)
    with Path("/dev/zero").open("rb", buffering=0) as source:
        while system_s() - system_before < 0.1:  # system time: the kernel fills the buffer
            source.readinto(zeros)
    system = system_s() - system_before
    user = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    assert cpu_s() - before >= system
    assert cpu_s() >= user + system


def test_memory_filesystem_has_no_block_device() -> None:
    if Path("/dev/shm").is_dir():
        assert BlockDevice.under(Path("/dev/shm")) is None


def test_device_has_its_kernel_name(tmp_path: Path) -> None:
    device = BlockDevice.under(tmp_path)
    if device is None:
        pytest.skip("this filesystem has no block device")
    assert Path("/sys/class/block", device.name).exists()


def test_peak_rss_is_reset() -> None:
    reset_peak_rss()
    quiet = peak_rss_bytes()
    filled = bytearray(os.urandom(1)) * (64 * MIB)
    grown = peak_rss_bytes()
    assert grown >= quiet + 60 * MIB
    del filled
    reset_peak_rss()
    assert peak_rss_bytes() < grown - 30 * MIB
    assert 10 * MIB < rss_bytes() <= peak_rss_bytes()


def test_device_counts_requests_and_their_time(tmp_path: Path) -> None:
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
