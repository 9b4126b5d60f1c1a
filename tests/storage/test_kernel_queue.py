"""Kernel AIO queues on this host, and their reuse by lanes."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.storage import aio
from mlpstorage_bench.storage.aio import KernelQueue, QueuePool, QueueRefusedError
from mlpstorage_bench.storage.buffers import AlignedBuffer, BufferPool
from mlpstorage_bench.storage.entry_files import EntryFile
from mlpstorage_bench.storage.files import DataFile, FileIo
from mlpstorage_bench.storage.in_flight import InFlight
from mlpstorage_bench.storage.store import Chunk
from tests.storage.conftest import kernel_queue

MAX_SLOTS = (0x10000000 // 32) - 1
"""The kernel's limit on the slots of one queue."""


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


def test_queue_moves_data_to_a_file_and_back(queue: KernelQueue, descriptor: int) -> None:
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


def test_queue_reports_end_of_file_and_bad_descriptor(queue: KernelQueue, descriptor: int) -> None:
    buffer = AlignedBuffer(4096)
    transfer: dict[str, Any] = {"is_write": False, "address": buffer.address, "size": 4096}
    queue.submit(0, descriptor=descriptor, offset=8192, **transfer)
    assert queue.reap(waits=True) == [(0, 0)]
    with pytest.raises(OSError, match="Bad file descriptor"):
        queue.submit(0, descriptor=1 << 20, offset=0, **transfer)


def test_reset_queue_destroys_the_old_and_opens_a_new_one(
    queue: KernelQueue, descriptor: int
) -> None:
    buffer = AlignedBuffer(4096)
    transfer: dict[str, Any] = {"is_write": False, "address": buffer.address, "size": 4096}
    queue.submit(0, descriptor=descriptor, offset=0, **transfer)
    former = ctypes.c_ulong(queue._context.value)
    queue.reset()
    assert bytes(buffer.bytes[:1]) == b"a"  # the transfer completed before the reset
    none = ctypes.c_long(0)
    arguments = (queue._getevents_number, former, none, none, queue._events_at, None)
    assert queue._call(*arguments) == -1, "the old queue still exists"
    queue.submit(0, descriptor=descriptor, offset=0, **transfer)
    assert queue.reap(waits=True) == [(0, 4096)]


@pytest.mark.slow
@pytest.mark.usefixtures("queue")
def test_exhausted_host_limit_is_refused_with_its_sysctl() -> None:
    limit = int(Path("/proc/sys/fs/aio-max-nr").read_text())
    if limit >= MAX_SLOTS:
        pytest.skip("this host's limit is above that of a single queue")
    with pytest.raises(QueueRefusedError, match=r"io_setup returned EAGAIN: .*fs\.aio-max-nr"):
        KernelQueue(limit + 1)


@pytest.mark.usefixtures("queue")
@pytest.mark.parametrize("call", ["io_setup", "io_submit", "io_getevents"])
def test_missing_system_call_is_refused_with_its_name(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    known = aio._CALLS[platform.machine()]
    lacking = known._replace(**{call.removeprefix("io_"): 5000})
    monkeypatch.setitem(aio._CALLS, platform.machine(), lacking)
    with pytest.raises(
        QueueRefusedError, match=f"{call} returned ENOSYS: this kernel does not support it"
    ):
        KernelQueue(1)


def test_unknown_machine_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    with pytest.raises(QueueRefusedError, match="Linux AIO call numbers are unknown for vax"):
        KernelQueue(1)


def is_known(queue: KernelQueue, context: int) -> bool:
    """Return whether the kernel has a queue at this address."""
    none = ctypes.c_long(0)
    transfer = (ctypes.c_ulong(context), none, none, queue._events_at, None)
    return bool(queue._call(queue._getevents_number, *transfer) == 0)


@pytest.mark.usefixtures("queue")
def test_pooled_queue_is_reused_and_destroyed_at_the_end() -> None:
    with QueuePool() as pool:
        first, other = pool.open(2), pool.open(2)
        assert isinstance(first, KernelQueue)
        assert isinstance(other, KernelQueue)
        context = first._context.value
        assert other._context.value != context
        first.close()
        assert is_known(first, context)
        assert pool.open(2) is first
        assert pool.open(3) not in (first, other)
        first.close()
        other.close()
    assert not is_known(first, context)


def test_pooled_queue_closed_with_a_transfer_is_reused_empty(
    queue: KernelQueue, descriptor: int, observer_class: Any
) -> None:
    del queue
    buffers = BufferPool(4096, 1)
    with QueuePool() as pool:
        lane = InFlight(pool.open, 1, buffers)
        file = DataFile(descriptor, Path("file"), FileIo("direct"))
        lane.read(
            EntryFile(file, observer_class(), is_direct=True), lane.take_buffer(), Chunk(0, 0, 4096)
        )
        lane.close()  # without drain, like after an interrupt
        assert pool.open(1).reap(waits=False) == []
