"""Linux AIO on hosts that lack parts of it, or refuse it."""

from __future__ import annotations

import ctypes
import os
import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mlpstorage_bench.storage import aio_context, linux_aio
from mlpstorage_bench.storage.buffers import aligned_buffer
from mlpstorage_bench.storage.kernel_queue import QueueRefusedError
from mlpstorage_bench.storage.linux_aio import LinuxAio

MAX_SLOTS = (0x10000000 // 32) - 1
"""The kernel's limit on the slots of one queue."""
MakeQueue = Callable[[], LinuxAio]


@pytest.fixture
def make_queue() -> Iterator[MakeQueue]:
    """Open a queue of two slots; the fixture skips the test if this host provides none."""
    made: list[LinuxAio] = []

    def make() -> LinuxAio:
        made.append(LinuxAio(2))
        return made[-1]

    try:
        make()
    except QueueRefusedError as error:
        pytest.skip(str(error))
    yield make
    for queue in made:
        queue.close()


def check_transfers(queue: LinuxAio, folder: Path) -> None:
    (folder / "file").write_bytes(b"a" * 8192)
    buffer = aligned_buffer(8192)
    with (folder / "file").open("rb") as file:
        for number in range(300):  # more than the ring has events
            for slot in range(2):
                place = (buffer.address + 4096 * slot, 4096, 4096 * slot)
                queue.prepare(slot, False, file.fileno(), *place)
            queue.submit()
            events = queue.reap(0)
            while len(events) < 2:
                events += queue.reap(None if number % 2 else 10**10)
            assert sorted(events) == [(0, 4096), (1, 4096)]
    assert bytes(buffer.bytes) == b"a" * 8192


def test_events_are_taken_from_the_ring_around_its_end(
    make_queue: MakeQueue, tmp_path: Path
) -> None:
    check_transfers(make_queue(), tmp_path)


def test_unknown_ring_is_not_read(
    make_queue: MakeQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aio_context, "_RING_MAGIC", 1)
    check_transfers(make_queue(), tmp_path)


def test_loads_are_ordered_where_the_processor_does_not(
    make_queue: MakeQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aio_context, "ORDERS_LOADS", False)
    check_transfers(make_queue(), tmp_path)


def test_kernel_that_cannot_wait_for_the_wake_event_is_asked_in_turns(
    make_queue: MakeQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linux_aio, "_POLL", 99)
    queue = make_queue()
    queue.wake()
    assert queue.reap(0) == []
    assert queue.reap(None) == []
    assert queue.reap(3_000_000) == []
    thread = threading.Thread(target=queue.wake)
    thread.start()
    assert queue.reap(None) == []
    thread.join()
    check_transfers(queue, tmp_path)


def test_reset_destroys_the_kernels_queue(make_queue: MakeQueue, tmp_path: Path) -> None:
    queue = make_queue()
    context = queue._context
    former = ctypes.c_ulong(context._id.value)
    queue.reset()
    none = ctypes.c_long(0)
    arguments = (context._getevents_number, former, none, none, context._copies_at, None)
    assert context._call(*arguments) == -1, "the old queue still exists"
    check_transfers(queue, tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("make_queue")
def test_exhausted_host_limit_is_refused_with_its_sysctl() -> None:
    limit = int(Path("/proc/sys/fs/aio-max-nr").read_text())
    if limit >= MAX_SLOTS:
        pytest.skip("this host's limit is above that of a single queue")
    with pytest.raises(QueueRefusedError, match="io_setup returned EAGAIN: ") as caught:
        LinuxAio(limit + 1)
    assert (
        f"the host's limit on AIO requests is reached (fs.aio-max-nr is {limit}, of which "
    ) in str(caught.value)
    assert str(caught.value).endswith(
        f" are in use, and this queue asks for {limit + 2}): raise fs.aio-max-nr, or run fewer "
        "ranks on the host"
    )


@pytest.mark.usefixtures("make_queue")
@pytest.mark.parametrize("call", ["io_setup", "io_submit", "io_getevents"])
def test_missing_system_call_is_refused_with_its_name(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    known = aio_context._CALLS[platform.machine()]
    lacking = known._replace(**{call.removeprefix("io_"): 5000})
    monkeypatch.setitem(aio_context._CALLS, platform.machine(), lacking)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # a count
    with pytest.raises(
        QueueRefusedError, match=f"{call} returned ENOSYS: this kernel does not support it"
    ):
        LinuxAio(1)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_unknown_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    with (
        pytest.raises(QueueRefusedError, match="Linux AIO call numbers are unknown for vax"),
        closing(LinuxAio(1)),
    ):
        pass
