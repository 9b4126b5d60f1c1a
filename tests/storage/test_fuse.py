"""Queues on a FUSE filesystem whose daemon does not answer."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mlpstorage_bench.storage.buffers import AlignedBuffer, aligned_buffer
from mlpstorage_bench.storage.io_uring import IoUring
from mlpstorage_bench.storage.kernel_queue import QueueRefusedError
from tests.lanes import LONG_S
from tests.mounts import unmount

BLOCK = 4096


class Fuse:
    """A mounted directory, and the process that serves it."""

    def __init__(self, program: str, source: Path, place: Path) -> None:
        self.place = place
        self.daemon = subprocess.Popen(
            [program, "-f", str(source), str(place)], stderr=subprocess.DEVNULL
        )
        while not place.is_mount():
            if self.daemon.poll() is not None:
                pytest.skip("needs FUSE")
            time.sleep(0.01)

    def freeze(self) -> None:
        self.daemon.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.daemon.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.go_on()
        unmount(self.place)
        self.daemon.wait()


@pytest.fixture
def fuse(tmp_path: Path) -> Iterator[Fuse]:
    program = shutil.which("bindfs")
    if program is None:
        pytest.skip("needs bindfs")
    source, place = tmp_path / "source", tmp_path / "fuse"
    for path in (source, place):
        path.mkdir()
    (source / "file").write_bytes(bytes(BLOCK))
    with closing(Fuse(program, source, place)) as mounted:
        yield mounted


def prepare_read(queue: IoUring, descriptor: int, buffer: AlignedBuffer, path: Path) -> None:
    del path
    queue.prepare(0, False, descriptor, buffer.address, BLOCK, 0)  # noqa: FBT003 - short


def prepare_open(queue: IoUring, descriptor: int, buffer: AlignedBuffer, path: Path) -> None:
    del descriptor, buffer
    queue.prepare_open(0, os.fsencode(path), os.O_RDONLY, 0)


@pytest.mark.parametrize("prepare", [prepare_read, prepare_open], ids=["read", "open"])
def test_worker_waits_for_a_daemon_that_does_not_answer_and_not_the_submission(
    fuse: Fuse, prepare: Callable[[IoUring, int, AlignedBuffer, Path], None]
) -> None:
    try:
        queue = IoUring(1, uses_workers=True)
    except QueueRefusedError as error:
        pytest.skip(str(error))
    buffer, submitted = aligned_buffer(BLOCK), threading.Event()
    path = fuse.place / "file"
    descriptor = os.open(path, os.O_RDWR | os.O_DIRECT)
    has_returned: list[bool] = []

    def submit() -> None:
        prepare(queue, descriptor, buffer, path)
        queue.submit()

    def end() -> None:
        ((_, result),) = queue.reap(None)
        assert result > 0
        if prepare is prepare_open:
            os.close(result)

    def answer() -> None:
        has_returned.append(submitted.wait(LONG_S))
        fuse.go_on()

    answering = threading.Thread(target=answer)
    with closing(queue):
        submit()  # the kernel asks the daemon once whether its files can be polled
        end()
        fuse.freeze()
        answering.start()
        submit()
        submitted.set()
        end()
    answering.join()
    os.close(descriptor)
    assert has_returned == [True]
