"""Real faults of real files, and what is said of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mlpstorage_bench.errors import CorruptDataError, StorageError
from mlpstorage_bench.measure.recorder import Recorder
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.storage.buffers import AlignedBuffer
from mlpstorage_bench.storage.files import EntryFiles, IoMode, probe_direct_io
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.store import Lane, StoredEntry, read_entry, write_entry

CHUNK = 64 * 1024
PAYLOAD = Payload(5, CHUNK)


class Bench:
    """A store with one lane."""

    def __init__(self, folder: Path, mode: IoMode) -> None:
        self.files = EntryFiles(folder, mode)
        self.folder = folder
        self._lane = Lane(AlignedBuffer(CHUNK), threading.Event())
        self._recorder = Recorder(Window())

    def write(self, name: str, size: int = 4 * CHUNK) -> StoredEntry:
        observer = self._recorder.observe("storage", "write")
        return write_entry(self.files, name, size, PAYLOAD, self._lane, observer)

    def read(self, entry: StoredEntry) -> None:
        observer = self._recorder.observe("storage", "read")
        read_entry(self.files, entry, PAYLOAD, self._lane, observer)


@pytest.fixture(params=["direct", "buffered"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    if request.param == "direct" and not probe_direct_io(tmp_path):
        pytest.skip("this filesystem has no direct I/O")
    return Bench(tmp_path, request.param)


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
        os.fsync(file.fileno())


def test_a_flipped_bit_is_found_with_file_offset_expected_and_found(bench: Bench) -> None:
    entry = bench.write("entry")
    path = bench.folder / "entry.kv"
    word = path.read_bytes()[100_000:100_008]
    flipped = bytes([word[0] ^ 1]) + word[1:]
    overwrite(path, 100_000, flipped)
    expected = int.from_bytes(word, "little")
    found = int.from_bytes(flipped, "little")
    with pytest.raises(CorruptDataError) as raised:
        bench.read(entry)
    text = str(raised.value)
    assert f"{path} failed: at offset 100000" in text
    assert f"expected {expected:016x}, found {found:016x}" in text
    assert "1 of 16 sectors" in text


def test_another_entrys_data_is_found(bench: Bench) -> None:
    entry, _ = bench.write("entry"), bench.write("other")
    (bench.folder / "other.kv").replace(bench.folder / "entry.kv")
    with pytest.raises(CorruptDataError, match=r"at offset 0 .*bears no stamp of this entry"):
        bench.read(entry)


def test_a_sector_written_to_the_wrong_place_is_named(bench: Bench) -> None:
    entry = bench.write("entry")
    path = bench.folder / "entry.kv"
    overwrite(path, 4096 * 3, path.read_bytes()[4096 * 9 : 4096 * 10])
    with pytest.raises(CorruptDataError, match=r"bears the stamp of sector 9 of the same entry"):
        bench.read(entry)


def test_lost_data_is_found_as_zeros(bench: Bench) -> None:
    entry = bench.write("entry")
    overwrite(bench.folder / "entry.kv", CHUNK, bytes(4096))
    with pytest.raises(CorruptDataError, match="is all zeros"):
        bench.read(entry)


def test_a_truncated_file_is_told_with_its_end(bench: Bench) -> None:
    entry = bench.write("entry")
    os.truncate(bench.folder / "entry.kv", 2 * CHUNK)
    with pytest.raises(StorageError, match=r"reading .*entry.kv failed: the file ends at offset"):
        bench.read(entry)


def test_a_file_that_is_gone_is_told_with_its_name(bench: Bench) -> None:
    entry = bench.write("entry")
    (bench.folder / "entry.kv").unlink()
    with pytest.raises(StorageError, match=r"opening .*entry.kv failed: .*ENOENT.*removed during"):
        bench.read(entry)


def test_a_full_disk_is_told_and_leaves_no_part_of_the_entry(
    mount: Callable[[str, str], Path],
) -> None:
    full_disk = mount("tmpfs", "size=256k")
    bench = Bench(full_disk, "buffered")
    with pytest.raises(
        StorageError, match=r"writing .*large.kv failed: .*ENOSPC.*storage_capacity"
    ):
        bench.write("large", 1 << 20)
    assert list(full_disk.iterdir()) == []
    bench.read(bench.write("small", CHUNK))


def test_probing_leaves_nothing(tmp_path: Path) -> None:
    assert probe_direct_io(tmp_path) in (True, False)
    assert list(tmp_path.iterdir()) == []
