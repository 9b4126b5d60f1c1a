"""Storage faults, real ones where possible, and their error messages."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from mlpstorage_bench.errors import CorruptDataError, StorageError
from mlpstorage_bench.storage import slab
from mlpstorage_bench.storage.block_files import BlockFiles
from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.storage.entry_files import EntryFiles
from mlpstorage_bench.storage.files import DataFile, FileIo
from mlpstorage_bench.storage.payload import Payload
from mlpstorage_bench.storage.slab import Slab
from mlpstorage_bench.storage.store import Chunking, ChunkWriter, Observer, Store, StoredEntry
from tests.fake_queue import FakeQueue
from tests.faulty import Faulty
from tests.lanes import LoneLane

CHUNK = 64 * 1024
BLOCK = 160 * 1024
SIZE = 2 * BLOCK
Mount = Callable[[str, str], Path]


@pytest.fixture
def write(lane: LoneLane, file_store: Store, observer_class: Any) -> Callable[[str], StoredEntry]:
    return lambda name: lane.write(file_store, name, SIZE, observer_class())


@pytest.fixture
def read(lane: LoneLane, file_store: Store, observer_class: Any) -> Callable[[StoredEntry], None]:
    return lambda entry: lane.read(file_store, entry, observer_class())


def place_of(store: Store, entry: StoredEntry, offset: int) -> tuple[Path, int]:
    """Return the file of a byte of an entry, and the offset in it."""
    with store.reader(entry.name, _IgnoringObserver()) as reader:
        path, at = reader.locate(offset)
    return Path(path), at


class _IgnoringObserver:
    def chunk(self, *_: int) -> None: ...
    def cached(self, *_: int) -> None: ...
    def durable(self, *_: int) -> None: ...
    def verified(self, *_: int) -> None: ...


def bytes_at(path: Path, offset: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
        os.fsync(file.fileno())


Write = Callable[[str], StoredEntry]
Read = Callable[[StoredEntry], None]


def test_flipped_bit_fails_with_path_offset_expected_and_found(
    file_store: Store, write: Write, read: Read
) -> None:
    entry = write("entry")
    path, at = place_of(file_store, entry, 200_000)  # in the second block
    word = bytes_at(path, at, 8)
    flipped = bytes([word[0] ^ 1]) + word[1:]
    overwrite(path, at, flipped)
    with pytest.raises(CorruptDataError) as raised:
        read(entry)
    text = str(raised.value)
    expected, found = (int.from_bytes(part, "little") for part in (word, flipped))
    assert f"verifying {path} failed: at offset {at} expected {expected:016x}" in text
    assert f"found {found:016x}; 1 of " in text


def test_data_of_another_entry_fails_the_check(file_store: Store, write: Write, read: Read) -> None:
    entry, other = write("entry"), write("other")
    path, at = place_of(file_store, entry, 0)
    overwrite(path, at, bytes_at(*place_of(file_store, other, 0), 8192))
    with pytest.raises(CorruptDataError, match=r"2 of 16 .*has no stamp of this entry"):
        read(entry)


def test_misplaced_sector_fails_with_its_number(
    file_store: Store, write: Write, read: Read
) -> None:
    entry = write("entry")
    path, at = place_of(file_store, entry, 3 * 4096)
    overwrite(path, at, bytes_at(*place_of(file_store, entry, 9 * 4096), 4096))
    with pytest.raises(CorruptDataError, match=r"has the stamp of sector 9 of the same entry"):
        read(entry)


def test_lost_data_fails_the_check_as_zeros(file_store: Store, write: Write, read: Read) -> None:
    entry = write("entry")
    path, at = place_of(file_store, entry, CHUNK)
    overwrite(path, at, bytes(4096))
    with pytest.raises(CorruptDataError, match="is all zeros"):
        read(entry)


def test_stale_generation_fails_the_check(
    lane: LoneLane, file_store: Store, observer_class: Any
) -> None:
    lane.write(file_store, "entry", SIZE, observer_class(), generation=1)
    fresh = lane.write(LosingStore(file_store), "entry", SIZE, observer_class(), generation=2)
    with pytest.raises(CorruptDataError, match=r"of sector \d+ of an earlier entry of this name"):
        lane.read(file_store, fresh, observer_class())


class LosingStore:
    """A store that loses all writes."""

    stores_data = True

    def __init__(self, store: Store) -> None:
        self.footprint = store.footprint

    @contextmanager
    def writer(self, name: str, size: int, observer: Observer) -> Iterator[ChunkWriter]:
        del name, size
        yield _LosingWriter(observer)

    def reader(self, name: str, observer: Observer) -> Any:
        raise NotImplementedError

    def delete(self, name: str) -> None: ...
    def close(self) -> None: ...


class _LosingWriter:
    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def put(self, data: memoryview, offset: int) -> None:
        self._observer.chunk(len(data), offset, offset)


@pytest.mark.parametrize("end", [CHUNK, CHUNK + 5000], ids=["at a sector", "amid a sector"])
def test_truncated_file_fails_with_path_and_end(
    file_store: Store, write: Write, read: Read, end: int
) -> None:
    entry = write("entry")
    path, at = place_of(file_store, entry, end)
    os.truncate(path, at)
    with pytest.raises(StorageError, match=rf"reading {path} failed: the file ends at offset {at}"):
        read(entry)


@pytest.mark.parametrize("kind", ["entry, buffered", "block, buffered"])
def test_missing_file_fails_with_its_path(
    kind: str, tmp_path: Path, store_of: Any, lane: LoneLane, observer_class: Any
) -> None:
    store = store_of(kind, tmp_path)
    entry = lane.write(store, "entry", SIZE, observer_class())
    path, _ = place_of(store, entry, 0)
    path.unlink()
    with pytest.raises(StorageError, match=rf"opening {path} failed: .*ENOENT.*removed during"):
        lane.read(store, entry, observer_class())


@pytest.mark.parametrize("kind", ["entry, buffered", "block, buffered"])
def test_removed_directory_fails_and_is_not_created_again(
    kind: str, store_of: Any, lane: LoneLane, observer_class: Any, tmp_path: Path
) -> None:
    store = store_of(kind, tmp_path)
    shutil.rmtree(tmp_path)
    with pytest.raises(StorageError, match=r"creating .* failed: .*\(ENOENT\).*removed during"):
        lane.write(store, "entry", SIZE, observer_class())
    assert not tmp_path.exists(), "the directory was created again"
    tmp_path.mkdir()


LAYOUTS: dict[str, Callable[[Path], Store]] = {
    "entry": lambda folder: EntryFiles(folder, FileIo("buffered", "fdatasync")),
    "block": lambda folder: BlockFiles(folder, FileIo("buffered", "fdatasync"), BLOCK),
    "slab": lambda folder: Slab(folder, FileIo("buffered", "fdatasync"), BLOCK, 64 << 20),
}


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> Callable[[Path], Store]:
    return LAYOUTS[request.param]


def test_full_disk_fails_and_leaves_no_part_of_the_entry(
    mount: Mount, lane: LoneLane, observer_class: Any, layout: Callable[[Path], Store]
) -> None:
    full_disk = mount("tmpfs", "size=512k")
    with pytest.raises(StorageError, match=r"(writing|preallocating) .*ENOSPC.*free space there"):
        lane.write(layout(full_disk), "large", 1 << 20, observer_class())
    assert [path for path in full_disk.rglob("*") if path.is_file()] == []
    small = EntryFiles(full_disk, FileIo("buffered"))
    lane.read(small, lane.write(small, "small", CHUNK, observer_class()), observer_class())


def test_read_only_filesystem_fails_with_erofs(
    mount: Mount, lane: LoneLane, observer_class: Any
) -> None:
    folder = mount("tmpfs", "size=8m")
    store = EntryFiles(folder, FileIo("buffered"))
    entry = lane.write(store, "before", SIZE, observer_class())
    subprocess.run(["/bin/mount", "-o", "remount,ro", str(folder)], check=True)
    lane.read(store, entry, observer_class())
    with pytest.raises(StorageError, match=r"creating .*\.kv failed: .*EROFS.*read-only"):
        lane.write(store, "after", SIZE, observer_class())


def test_failing_device_fails_with_eio(
    mount: Mount, tmp_path: Path, lane: LoneLane, observer_class: Any
) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["/sbin/mkfs.ext4", "-q", str(image)], check=True)
    folder = mount("ext4", f"loop {image}")
    if not probe_direct_io(folder).is_available:
        pytest.skip("the loop device has no direct I/O")
    store = EntryFiles(folder, FileIo("direct", "fsync"))
    entry = lane.write(store, "entry", SIZE, observer_class())
    os.truncate(image, 64 * 1024)  # the device has lost its blocks
    with pytest.raises(StorageError, match=r"reading .*\.kv failed: .*\(EIO\).*the kernel's log"):
        lane.read(store, entry, observer_class())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EIO, "the kernel's log"),
        (errno.ENOSPC, "free space there, .* with --mlps-cache-dir"),
        (errno.EDQUOT, "The quota is used up: raise it"),
        (errno.ESTALE, "the export changed"),
        (errno.EROFS, "became read-only"),
    ],
)
def test_injected_error_fails_with_name_and_remedy(
    number: int, remedy: str, file_store: Store, lane: LoneLane, observer_class: Any, tmp_path: Path
) -> None:
    name = errno.errorcode[number]
    with pytest.raises(StorageError, match=rf"writing the file failed: .*\({name}\).*{remedy}"):
        lane.write(Faulty(file_store, number, 3), "entry", SIZE, observer_class())
    left = [path for path in tmp_path.rglob("*.kv*") if not path.name.startswith("slab")]
    assert left == []
    entry = lane.write(file_store, "entry", SIZE, observer_class())
    with pytest.raises(StorageError, match=rf"reading the file failed: .*\({name}\).*{remedy}"):
        lane.read(Faulty(file_store, number, 3), entry, observer_class())
    lane.read(file_store, entry, observer_class())  # the data is intact


@pytest.mark.parametrize("mode", ["direct", "buffered"])
@pytest.mark.parametrize("queue", [FakeQueue, None], ids=["queue", "plain calls"])
def test_short_transfer_is_completed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    store_of: Any,
    observer_class: Any,
    mode: str,
    queue: Any,
) -> None:
    """The kernel may move less than the requested size."""
    store = store_of(f"entry, {mode}", tmp_path)
    calls = {"pwritev": 0, "preadv": 0}

    def shortened(name: str, call: Any) -> Any:
        def one(descriptor: int, buffers: Any, offset: int, flags: int = 0) -> int:
            calls[name] += 1
            part = memoryview(buffers[0])[: max(4096, len(buffers[0]) // 8192 * 4096)]
            moved: int = call(descriptor, [part], offset, flags)
            return moved

        return one

    for name in calls:
        monkeypatch.setattr(os, name, shortened(name, getattr(os, name)))
    with LoneLane(Payload(5), Chunking(CHUNK), threading.Event(), open_queue=queue) as lane:
        observer = observer_class()
        entry = lane.write(store, "entry", 3 * CHUNK, observer_class())
        lane.read(store, entry, observer)
    assert (observer.moved, observer.checked) == (3 * CHUNK, 3)
    assert min(calls.values()) > 3


@pytest.mark.parametrize("reserves", [False, True])
def test_failed_preallocation_leaves_no_slab_file(mount: Mount, *, reserves: bool) -> None:
    folder = mount("tmpfs", "size=512k")
    with pytest.raises(StorageError, match=r"preallocating .*slab-000.kv failed: .*ENOSPC"):
        Slab(folder, FileIo("buffered", reserves=reserves), BLOCK, 64 << 20)
    assert list(folder.iterdir()) == []


def test_slab_close_removes_other_files_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lane: LoneLane, observer_class: Any
) -> None:
    monkeypatch.setattr(slab, "FILE_BYTES", BLOCK)  # a file for each slot
    store = Slab(tmp_path, FileIo("buffered"), BLOCK, 3 * BLOCK)
    lane.write(store, "entry", 3 * BLOCK, observer_class())
    (tmp_path / "slab-001.kv").unlink()
    (tmp_path / "slab-001.kv").mkdir()
    with pytest.raises(StorageError, match=r"removing .*/slab-001.kv failed"):
        store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["slab-001.kv"]
    opened = [file.path for file in psutil.Process().open_files()]
    assert not [path for path in opened if path.startswith(str(tmp_path))]


def test_failed_page_drop_fails_with_path(tmp_path: Path) -> None:
    """A FIFO has no pages, and fails like a file that its server no longer knows."""
    path = tmp_path / "entry.kv"
    os.mkfifo(path)
    file = DataFile(os.open(path, os.O_RDWR), path, FileIo("buffered"))
    with pytest.raises(StorageError, match=rf"dropping cached pages of {path} failed: .*ESPIPE"):
        file.drop_cached_pages()
    file.close()


def test_direct_io_probe_leaves_no_file(tmp_path: Path) -> None:
    assert probe_direct_io(tmp_path).is_available in (True, False)
    assert list(tmp_path.iterdir()) == []
