"""io_uring: what it does beside transfers, and kernels that lack parts of it."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mlpstorage_bench.storage import io_uring, io_uring_layout, io_uring_ring
from mlpstorage_bench.storage.buffers import AlignedBuffer, aligned_buffer
from mlpstorage_bench.storage.io_uring import IoUring
from mlpstorage_bench.storage.kernel_queue import Event, QueueRefusedError
from mlpstorage_bench.storage.uncached_io import uncached_refusal

BLOCK = 4096
SLOTS = 4
MakeQueue = Callable[[], IoUring]


@pytest.fixture
def make_queue() -> Iterator[MakeQueue]:
    """Open a queue of four slots; the fixture skips the test if this host provides none."""
    made: list[IoUring] = []

    def make() -> IoUring:
        made.append(IoUring(SLOTS))
        return made[-1]

    try:
        make().close()
    except QueueRefusedError as error:
        pytest.skip(str(error))
    yield make
    for queue in made:
        queue.close()


@pytest.fixture
def queue(make_queue: MakeQueue) -> IoUring:
    return make_queue()


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    made = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield made
    os.close(made)


def collected(queue: IoUring, count: int) -> list[Event]:
    queue.submit()
    events: list[Event] = []
    while len(events) < count:
        events += queue.reap(None)
    return sorted(events)


def check_transfers(queue: IoUring, descriptor: int) -> None:
    there, back = aligned_buffer(BLOCK * SLOTS), aligned_buffer(BLOCK * SLOTS)
    there.bytes[:] = os.urandom(BLOCK * SLOTS)
    for number in range(50):  # more than the rings have entries
        is_write = number % 2 == 0
        for slot in range(SLOTS):
            place = (there if is_write else back).address + BLOCK * slot
            queue.prepare(slot, is_write, descriptor, place, BLOCK, BLOCK * slot)
        assert collected(queue, SLOTS) == [(slot, BLOCK) for slot in range(SLOTS)]
    assert back.bytes == there.bytes


def prepared_operations(queue: IoUring) -> list[tuple[int, int]]:
    """Return operation and number of the registered memory of the prepared entries."""
    ring = queue._ring
    begin, end = ring.sq_head[0], queue._tail
    entries = [
        io_uring_layout.ENTRY.unpack_from(ring.entries, (number & ring.entry_mask) * 64)
        for number in range(begin, end)
    ]
    return [(entry[0], entry[-1]) for entry in entries]


def test_transfers_use_the_registered_memory_that_holds_them(
    queue: IoUring, descriptor: int
) -> None:
    first, second, outside = (aligned_buffer(2 * BLOCK) for _ in range(3))
    memory = (first, second, outside)
    assert queue.register_memory([first.bytes, second.bytes])
    assert queue.memory_refusal == ""
    for slot, (buffer, byte) in enumerate(zip(memory, b"abc", strict=True)):
        buffer.bytes[:] = bytes([byte]) * 2 * BLOCK
        queue.prepare(slot, True, descriptor, buffer.address + BLOCK, BLOCK, BLOCK * slot)
    assert prepared_operations(queue) == [
        (io_uring_layout.WRITE_FIXED, 0),
        (io_uring_layout.WRITE_FIXED, 1),
        (io_uring_layout.WRITE, 0),
    ]
    assert collected(queue, 3) == [(0, BLOCK), (1, BLOCK), (2, BLOCK)]
    for slot, buffer in enumerate(memory):
        queue.prepare(slot, False, descriptor, buffer.address, BLOCK, BLOCK * (2 - slot))
    assert prepared_operations(queue) == [
        (io_uring_layout.READ_FIXED, 0),
        (io_uring_layout.READ_FIXED, 1),
        (io_uring_layout.READ, 0),
    ]
    assert collected(queue, 3) == [(0, BLOCK), (1, BLOCK), (2, BLOCK)]
    assert [bytes(buffer.bytes[:1]) for buffer in memory] == [b"c", b"b", b"a"]


def test_transfer_across_the_end_of_registered_memory_does_not_use_it(
    queue: IoUring, descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(io_uring_ring, "LARGEST_AREA", 2 * BLOCK)
    buffer = aligned_buffer(6 * BLOCK)
    assert queue.register_memory([buffer.bytes])
    for slot, block in enumerate((0, 1, 2, 3)):
        address = buffer.address + BLOCK * block
        queue.prepare(slot, True, descriptor, address, 2 * BLOCK, 2 * BLOCK * slot)
    write, fixed = io_uring_layout.WRITE, io_uring_layout.WRITE_FIXED
    assert prepared_operations(queue) == [(fixed, 0), (write, 0), (fixed, 1), (write, 0)]
    assert collected(queue, 4) == [(slot, 2 * BLOCK) for slot in range(4)]


def test_memory_is_registered_anew(queue: IoUring, descriptor: int) -> None:
    first, second = aligned_buffer(BLOCK), aligned_buffer(BLOCK)
    assert queue.register_memory([first.bytes])
    assert queue.register_memory([second.bytes])
    for slot, buffer in enumerate((first, second)):
        queue.prepare(slot, True, descriptor, buffer.address, BLOCK, 0)
    assert prepared_operations(queue) == [
        (io_uring_layout.WRITE, 0),
        (io_uring_layout.WRITE_FIXED, 0),
    ]
    assert collected(queue, 2) == [(0, BLOCK), (1, BLOCK)]


def test_memory_that_the_kernel_refuses_is_used_without(queue: IoUring, descriptor: int) -> None:
    os.ftruncate(descriptor, BLOCK)
    mapped = AlignedBuffer(BLOCK, memoryview(mmap.mmap(descriptor, BLOCK)))
    assert not queue.register_memory([mapped.bytes])  # memory of a file cannot be registered
    assert queue.memory_refusal.startswith("io_uring_register returned E")
    check_transfers(queue, descriptor)


@pytest.mark.parametrize("data_only", [False, True])
def test_file_is_synced(queue: IoUring, descriptor: int, data_only: bool) -> None:
    os.write(descriptor, b"a")
    queue.prepare_sync(1, descriptor, data_only)
    queue.prepare_sync(2, 1 << 20, data_only)
    assert collected(queue, 2) == [(1, 0), (2, -errno.EBADF)]


def test_file_is_opened(queue: IoUring, tmp_path: Path) -> None:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    for slot, name in ((1, "new"), (2, "none/new")):
        queue.prepare_open(slot, os.fsencode(tmp_path / name), flags, 0o640)
    (_, opened), missing = collected(queue, 2)
    assert missing == (2, -errno.ENOENT)
    os.write(opened, b"a")
    assert os.fstat(opened).st_mode & 0o777 == 0o640
    assert not os.get_inheritable(opened)
    os.close(opened)
    assert (tmp_path / "new").read_bytes() == b"a"
    assert queue._opening == {}


def test_path_with_a_null_byte_is_refused(queue: IoUring) -> None:
    with pytest.raises(ValueError, match="null byte"):
        queue.prepare_open(1, b"a\0b", os.O_RDONLY, 0)


def test_reset_closes_the_files_that_it_opened(queue: IoUring, tmp_path: Path) -> None:
    before = descriptors()
    for slot in range(3):
        flags = os.O_CREAT | os.O_WRONLY
        queue.prepare_open(slot, os.fsencode(tmp_path / str(slot)), flags, 0o640)
    queue.submit()
    queue.reset()
    assert descriptors() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2"]


def test_reset_removes_the_files_that_it_created(queue: IoUring, tmp_path: Path) -> None:
    (tmp_path / "foreign").touch()
    for slot, name in enumerate(("created", "foreign", "none/created")):
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        queue.prepare_open(slot, os.fsencode(tmp_path / name), flags, 0o640)
    queue.submit()
    queue.reset()
    assert [path.name for path in tmp_path.iterdir()] == ["foreign"]


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_uncached_transfers_end_as_the_probe_says(
    queue: IoUring, descriptor: int, tmp_path: Path
) -> None:
    buffer = aligned_buffer(BLOCK)
    refusal = uncached_refusal(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    for is_write in (True, False):
        queue.prepare_uncached(1, is_write, descriptor, buffer.address, BLOCK, 0)
        ((_, result),) = collected(queue, 1)
        assert result in ({-errno.EOPNOTSUPP, -errno.EINVAL} if refusal else {BLOCK})
    if not refusal:
        os.fdatasync(descriptor)
        queue.prepare_uncached(1, False, descriptor, buffer.address, BLOCK, 0)
        assert collected(queue, 1) == [(1, BLOCK)]


def test_uncached_io_is_refused_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("mlpstorage_bench.storage.uncached_io.DONTCACHE", 1 << 30)
    assert uncached_refusal(tmp_path) == "pwritev with RWF_DONTCACHE: Operation not supported"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flags", io_uring_layout.SETUP_FLAGS)
def test_older_kernels_have_fewer_flags(
    make_queue: MakeQueue, descriptor: int, monkeypatch: pytest.MonkeyPatch, flags: int
) -> None:
    monkeypatch.setattr(io_uring_ring, "SETUP_FLAGS", (1 << 31, flags))
    check_transfers(make_queue(), descriptor)


def test_loads_are_ordered_where_the_processor_does_not(
    queue: IoUring, descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(io_uring, "ORDERS_LOADS", False)
    check_transfers(queue, descriptor)


def test_kernel_that_stops_at_a_bad_entry_gets_the_rest(
    make_queue: MakeQueue, descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(io_uring_ring, "SETUP_FLAGS", (0,))
    queue = make_queue()
    buffer = aligned_buffer(BLOCK)
    for slot in range(4):
        if slot == 1:
            queue._put(255, descriptor, 0, buffer.address, BLOCK, 0, slot)
        else:
            queue.prepare(slot, True, descriptor, buffer.address, BLOCK, 0)
    assert collected(queue, 4) == [(0, BLOCK), (1, -errno.EINVAL), (2, BLOCK), (3, BLOCK)]


def test_slots_that_the_kernel_has_no_memory_for_end_with_its_error(
    queue: IoUring, descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = aligned_buffer(BLOCK)
    call = queue._ring.call

    def refuse(*_arguments: object) -> int:
        ctypes.set_errno(errno.EAGAIN)
        monkeypatch.setattr(queue._ring, "call", call)
        return -1

    check_transfers(queue, descriptor)
    monkeypatch.setattr(queue._ring, "call", refuse)
    for slot in (3, 1):
        queue.prepare(slot, True, descriptor, buffer.address, BLOCK, 0)
    queue.submit()
    assert queue.reap(0) == [(3, -errno.EAGAIN), (1, -errno.EAGAIN)]
    monkeypatch.setattr(queue._ring, "call", refuse)
    queue.reset()
    queue.prepare(2, True, descriptor, buffer.address, BLOCK, 0)
    monkeypatch.setattr(queue._ring, "call", refuse)
    with pytest.raises(BlockingIOError):
        queue.reap(None)
    assert collected(queue, 1) == [(2, BLOCK)]


def test_limit_on_workers_is_the_number_of_slots() -> None:
    try:
        queue = IoUring(500)
    except QueueRefusedError as error:
        pytest.skip(str(error))
    with closing(queue):
        limits = bytearray(8)
        at = ctypes.addressof(ctypes.c_char.from_buffer(limits))
        if queue._ring.register(io_uring_layout.REGISTER_WORKERS, at, 2) < 0:
            pytest.skip("needs Linux 5.15")
        assert struct.unpack("=II", limits)[0] >= 500


@pytest.mark.usefixtures("make_queue")
@pytest.mark.parametrize(
    ("call", "constant"),
    [("setup", "SETUP"), ("enter", "ENTER"), ("register", "REGISTER")],
)
def test_missing_system_call_is_refused_with_its_name(
    monkeypatch: pytest.MonkeyPatch, call: str, constant: str
) -> None:
    monkeypatch.setattr(io_uring_ring, constant, ctypes.c_long(5000))
    before = descriptors()
    with pytest.raises(
        QueueRefusedError, match=f"no io_uring: io_uring_{call} returned ENOSYS: this kernel"
    ):
        IoUring(1)
    assert descriptors() == before


@pytest.mark.usefixtures("make_queue")
@pytest.mark.parametrize(
    ("constant", "value", "reason"),
    [
        ("FEATURES", 1 << 31, "it needs Linux 5.11 or newer"),
        ("NEEDED", (200,), "this kernel lacks operations of it"),
        ("SQES_OFFSET", 0x20000000, "mapping its memory: "),
        ("SETUP_FLAGS", (1 << 31,), "io_uring_setup returned EINVAL: Invalid argument"),
    ],
)
def test_kernel_without_a_needed_part_is_refused(
    monkeypatch: pytest.MonkeyPatch, constant: str, value: object, reason: str
) -> None:
    monkeypatch.setattr(io_uring_ring, constant, value)
    before = descriptors()
    with pytest.raises(QueueRefusedError, match=f"no io_uring: {reason}"):
        IoUring(1)
    assert descriptors() == before


def test_unknown_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    with pytest.raises(QueueRefusedError, match="io_uring's layout is unknown for vax"):
        IoUring(1)
