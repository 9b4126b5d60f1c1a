"""What io_submit and its kin do on this host, and queues that lanes have one after another."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.storage import aio
from mlpstorage_bench.storage.aio import KeptQueues, KernelQueue, QueueRefusedError
from mlpstorage_bench.storage.buffers import AlignedBuffer, BufferPool
from mlpstorage_bench.storage.entry_files import EntryFile
from mlpstorage_bench.storage.files import DataFile, FileIo
from mlpstorage_bench.storage.in_flight import InFlight
from mlpstorage_bench.storage.store import Chunk
from tests.storage.conftest import kernel_queue

MOST_SLOTS = (0x10000000 // 32) - 1
"""Of one queue: the kernel's own limit."""


@pytest.fixture
def queue() -> Iterator[KernelQueue]:
    made = kernel_queue(2)
    yield made
    made.close()
    made.close()


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(b"a" * 8192)
    opened = os.open(path, os.O_RDWR)
    yield opened
    os.close(opened)


def test_a_queue_moves_memory_to_files_and_back(queue: KernelQueue, descriptor: int) -> None:
    there, back = AlignedBuffer(4096), AlignedBuffer(4096)
    there.bytes[:] = b"b" * 4096
    for slot, buffer in ((0, there), (1, back)):
        queue.submit(
            slot,
            is_write=buffer is there,
            descriptor=descriptor,
            address=buffer.address,
            size=4096,
            offset=4096,
        )
        assert queue.reap(waits=True) == [(slot, 4096)]
    assert back.bytes[:] == there.bytes[:]
    assert queue.reap(waits=False) == []


def test_a_queue_tells_the_end_of_a_file_and_what_it_refuses(
    queue: KernelQueue, descriptor: int
) -> None:
    buffer = AlignedBuffer(4096)
    asked: dict[str, Any] = {"is_write": False, "address": buffer.address, "size": 4096}
    queue.submit(0, descriptor=descriptor, offset=8192, **asked)
    assert queue.reap(waits=True) == [(0, 0)]
    with pytest.raises(OSError, match="Bad file descriptor"):
        queue.submit(0, descriptor=1 << 20, offset=0, **asked)


def test_a_queue_is_new_after_everything_was_forgotten(queue: KernelQueue, descriptor: int) -> None:
    buffer = AlignedBuffer(4096)
    asked: dict[str, Any] = {"is_write": False, "address": buffer.address, "size": 4096}
    queue.submit(0, descriptor=descriptor, offset=0, **asked)
    former = ctypes.c_ulong(queue._context.value)
    queue.forget()
    assert bytes(buffer.bytes[:1]) == b"a"  # it had ended before it was forgotten
    none = ctypes.c_long(0)
    asked_of = (queue._getevents_number, former, none, none, queue._events_at, None)
    assert queue._call(*asked_of) == -1, "the kernel still has it"
    queue.submit(0, descriptor=descriptor, offset=0, **asked)
    assert queue.reap(waits=True) == [(0, 4096)]


@pytest.mark.usefixtures("queue")
def test_a_refusal_says_what_to_raise_where_a_host_has_no_more_of_them() -> None:
    limit = int(Path("/proc/sys/fs/aio-max-nr").read_text())
    if limit >= MOST_SLOTS:
        pytest.skip("this host's limit is above that of a single queue")
    with pytest.raises(QueueRefusedError, match=r"io_setup gave EAGAIN: .*fs\.aio-max-nr"):
        KernelQueue(limit + 1)


@pytest.mark.usefixtures("queue")
@pytest.mark.parametrize("call", ["io_setup", "io_submit", "io_getevents"])
def test_a_queue_is_refused_where_a_kernel_has_not_all_of_its_calls(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    known = aio._CALLS[platform.machine()]
    lacking = known._replace(**{call.removeprefix("io_"): 5000})
    monkeypatch.setitem(aio._CALLS, platform.machine(), lacking)
    with pytest.raises(QueueRefusedError, match=f"{call} gave ENOSYS: this kernel has none"):
        KernelQueue(1)


def test_a_queue_is_refused_on_machines_whose_calls_are_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    with pytest.raises(QueueRefusedError, match="Linux AIO is not known on vax"):
        KernelQueue(1)


def is_known(queue: KernelQueue, context: int) -> bool:
    """Whether the kernel has a queue of this address."""
    none = ctypes.c_long(0)
    asked = (ctypes.c_ulong(context), none, none, queue._events_at, None)
    return bool(queue._call(queue._getevents_number, *asked) == 0)


@pytest.mark.usefixtures("queue")
def test_a_kept_queue_goes_to_the_next_lane_and_in_the_end_to_the_kernel() -> None:
    with KeptQueues() as kept:
        first, other = kept.open(2), kept.open(2)
        assert isinstance(first, KernelQueue)
        assert isinstance(other, KernelQueue)
        context = first._context.value
        assert other._context.value != context
        first.close()
        assert is_known(first, context)
        assert kept.open(2) is first
        assert kept.open(3) not in (first, other)
        first.close()
        other.close()
    assert not is_known(first, context)


def test_a_kept_queue_that_is_left_with_a_transfer_goes_on_without_it(
    queue: KernelQueue, descriptor: int, seen: Any
) -> None:
    del queue
    buffers = BufferPool(4096, 1)
    with KeptQueues() as kept:
        lane = InFlight(kept.open, 1, buffers)
        file = DataFile(descriptor, Path("file"), FileIo("direct"))
        lane.read(EntryFile(file, seen(), is_direct=True), lane.take_buffer(), Chunk(0, 0, 4096))
        lane.close()  # as when coming to rest was interrupted
        assert kept.open(1).reap(waits=False) == []
