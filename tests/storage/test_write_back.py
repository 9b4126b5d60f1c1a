"""Buffered writes are reported when the device has them, and reads read what is requested."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import StorageError
from mlpstorage_bench.measure.device import BlockDevice, DeviceCount
from mlpstorage_bench.measure.process import open_process_counter
from mlpstorage_bench.storage import file_mover
from mlpstorage_bench.storage.buffers import AlignedBuffer
from mlpstorage_bench.storage.files import FileIo
from mlpstorage_bench.storage.slab import Slab
from mlpstorage_bench.units import KIB, MIB
from tests.lanes import LoneLane

SIZE = 16 * MIB
CHUNK = 64 * KIB
SLOT = 160 * KIB
"""Size of a slot of the slabs that these tests make."""


class Device:
    """The device's own counts since now."""

    def __init__(self, folder: Path) -> None:
        device = BlockDevice.under(folder)
        counter = None if device is None else device.open_counter()
        if counter is None:
            pytest.skip("needs a filesystem on a block device")
        self._counter = counter
        self._before = self._read()

    def _read(self) -> DeviceCount:
        reading = self._counter.read()
        assert reading is not None
        return reading.traffic

    def moved(self) -> DeviceCount:
        return self._read() - self._before

    def close(self) -> None:
        self._counter.__exit__()


class ComparesWithDevice:
    """Compares the bytes reported so far with the device's, at each report."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.moved = 0
        self.reports = 0
        self.most_ahead = 0

    def chunk(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None:
        del started_ns, ended_ns, late_ns
        self._report(size)

    def cached(self, size: int, started_ns: int, ended_ns: int, late_ns: int = 0) -> None: ...

    def durable(
        self, started_ns: int, ended_ns: int, cached_bytes: int = 0, late_ns: int = 0
    ) -> None:
        del started_ns, ended_ns, late_ns
        self._report(cached_bytes)

    def verified(self, started_ns: int, ended_ns: int) -> None: ...

    def _report(self, size: int) -> None:
        self.moved += size
        self.reports += size > 0
        self.most_ahead = max(self.most_ahead, self.moved - self._device.moved().write_bytes)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["direct", "buffered", "written back"])
@pytest.mark.parametrize("layout", ["entry", "block", "slab"])
def test_written_bytes_are_reported_when_the_device_has_them(
    tmp_path: Path, store_of: Any, lane: LoneLane, layout: str, mode: str
) -> None:
    store = store_of(f"{layout}, {mode}", tmp_path)
    device = Device(tmp_path)
    observer = ComparesWithDevice(device)
    lane.write(store, "entry", SIZE, observer)
    assert observer.moved == SIZE
    assert observer.most_ahead <= 0
    store.delete("entry")
    store.close()
    device.close()


@pytest.mark.slow
def test_chunks_written_back_one_by_one_are_reported_one_by_one(
    tmp_path: Path, store_of: Any, lane: LoneLane
) -> None:
    store = store_of("entry, written back", tmp_path)
    observer = ComparesWithDevice(Device(tmp_path))
    lane.write(store, "entry", SIZE, observer)
    assert observer.reports > SIZE / (64 * KIB)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["entry", "block", "slab"])
def test_large_entry_is_synced_on_its_way_where_files_are_synced_whole(
    tmp_path: Path, store_of: Any, lane: LoneLane, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_mover, "SYNC_BYTES", 1 * MIB)
    store = store_of(f"{layout}, buffered", tmp_path)
    observer = ComparesWithDevice(Device(tmp_path))
    lane.write(store, "entry", SIZE, observer)
    assert observer.moved == SIZE
    assert observer.reports >= 16
    store.close()


def test_overlay_keeps_its_pages_elsewhere_and_is_synced(
    tmp_path: Path, mount: Callable[[str, str], Path], store_of: Any, lane: LoneLane
) -> None:
    layers = [tmp_path / name for name in ("lower", "upper", "work")]
    for layer in layers:
        layer.mkdir()
    lower, upper, work = layers
    folder = mount("overlay", f"lowerdir={lower},upperdir={upper},workdir={work}")
    assert BlockDevice.under(folder) is None
    observer = ComparesWithDevice(Device(upper))
    store = store_of("entry, buffered", folder)
    lane.write(store, "entry", SIZE, observer)
    assert (observer.moved, observer.most_ahead <= 0) == (SIZE, True)


def test_write_back_that_fails_is_a_failed_write(tmp_path: Path) -> None:
    file = FileIo("buffered", writes_back_chunks=True).create(tmp_path / "file", MIB)
    reading, writing = os.pipe()
    os.dup2(writing, file.descriptor)  # nothing can be written back to a pipe
    with pytest.raises(StorageError, match=r"writing back .*file"):
        file.write_back(0, MIB)
    file.close()
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("durability", ["none", "fdatasync"])
def test_chunks_that_are_written_back_need_no_further_sync(
    tmp_path: Path, lane: LoneLane, observer_class: Any, durability: Any
) -> None:
    io = FileIo("buffered", durability, writes_back_chunks=True)
    store = Slab(tmp_path, io, SLOT, 64 * MIB)
    observer = observer_class()
    lane.write(store, "entry", MIB, observer)
    assert observer.moved == MIB
    assert observer.syncs == (durability == "fdatasync")
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["entry", "block", "slab"])
def test_reads_read_what_is_requested(
    tmp_path: Path, store_of: Any, lane: LoneLane, observer_class: Any, layout: str
) -> None:
    Device(tmp_path)  # elsewhere the process's counter need not count reads
    store = store_of(f"{layout}, buffered", tmp_path)
    entries = [lane.write(store, f"{n}", 3 * SLOT, observer_class()) for n in range(32)]
    buffer = AlignedBuffer(CHUNK)
    with open_process_counter() or pytest.skip("this kernel does not count") as counter:
        before = counter.read()
        for entry in entries:
            with store.reader(entry.name, observer_class()) as reader:
                reader.get(buffer.bytes, 0)
        after = counter.read()
    assert before is not None
    assert after is not None
    read = after.traffic.read_bytes - before.traffic.read_bytes
    assert 32 * CHUNK <= read <= 1.01 * 32 * CHUNK
    store.close()
