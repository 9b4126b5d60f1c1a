"""Queues of the kernel: both kinds move bytes, end, wake and reset alike."""

from __future__ import annotations

import errno
import os
import random
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.storage.buffers import AlignedBuffer, aligned_buffer
from mlpstorage_bench.storage.direct_io import probe_direct_io
from mlpstorage_bench.storage.kernel_queue import Event, Queue, QueueKind, QueueRefusedError
from mlpstorage_bench.storage.queues import QUEUES, open_queue
from tests.memory_kinds import MEMORY_KINDS, MemoryKind, pool_in

SLOTS = 8
BLOCK = 4096
KINDS: tuple[QueueKind, ...] = ("io_uring", "linux_aio")


def opened(kind: QueueKind, slots: int = SLOTS) -> Queue:
    """Open a queue; skips the test if this host provides none of the kind."""
    try:
        return open_queue(kind, slots).queue
    except QueueRefusedError as error:
        pytest.skip(str(error))


@pytest.fixture(params=KINDS)
def queue(request: pytest.FixtureRequest) -> Iterator[Queue]:
    with closing(opened(request.param)) as made:
        yield made


@pytest.fixture(params=[os.O_DIRECT, 0], ids=["direct", "buffered"])
def descriptor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    if request.param and not probe_direct_io(tmp_path).is_available:
        pytest.skip("this filesystem has no direct I/O")
    made = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT | request.param)
    yield made
    os.close(made)


def collected(queue: Queue, count: int) -> dict[int, int]:
    """Wait for this number of slots; return their results."""
    events: list[Event] = []
    while len(events) < count:
        events += queue.reap(None)
    assert queue.reap(0) == []
    results = dict(events)
    assert len(results) == len(events) == count
    return results


def buffers(count: int, seed: int = 1) -> list[AlignedBuffer]:
    rng = random.Random(seed)
    made = [aligned_buffer(BLOCK) for _ in range(count)]
    for buffer in made:
        buffer.bytes[:] = rng.randbytes(BLOCK)
    return made


def test_batches_move_data_to_a_file_and_back(queue: Queue, descriptor: int) -> None:
    there, back = buffers(SLOTS, 1), buffers(SLOTS, 2)
    for is_write, memory in ((True, there), (False, back)):
        for slot, buffer in enumerate(memory):
            queue.prepare(slot, is_write, descriptor, buffer.address, BLOCK, BLOCK * slot)
        queue.submit()
        assert collected(queue, SLOTS) == dict.fromkeys(range(SLOTS), BLOCK)
    assert [bytes(buffer.bytes) for buffer in back] == [bytes(buffer.bytes) for buffer in there]


def test_submission_of_nothing_ends_nothing(queue: Queue) -> None:
    queue.submit()
    assert queue.reap(0) == []


def test_reads_at_the_end_of_a_file_are_short(queue: Queue, tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"a" * 5000)
    buffer = aligned_buffer(BLOCK)
    with (tmp_path / "short").open("rb") as file:
        queue.prepare(2, False, file.fileno(), buffer.address, BLOCK, BLOCK)
        queue.prepare(5, False, file.fileno(), buffer.address, BLOCK, 2 * BLOCK)
        queue.submit()
        assert collected(queue, 2) == {2: 5000 - BLOCK, 5: 0}


@pytest.mark.slow
@pytest.mark.parametrize("bad", [(0,), (7,), (3, 4), (0, 2, 6, 7), tuple(range(SLOTS))])
def test_bad_descriptors_are_errors_of_their_slots_alone(
    queue: Queue, descriptor: int, bad: tuple[int, ...]
) -> None:
    memory = buffers(SLOTS)
    for slot, buffer in enumerate(memory):
        place = (buffer.address, BLOCK, BLOCK * slot)
        queue.prepare(slot, True, 1 << 20 if slot in bad else descriptor, *place)
    queue.submit()
    assert collected(queue, SLOTS) == {
        slot: -errno.EBADF if slot in bad else BLOCK for slot in range(SLOTS)
    }


def test_reap_returns_nothing_when_its_time_is_over(queue: Queue) -> None:
    assert queue.reap(0) == []
    assert queue.reap(1) == []
    assert queue.reap(1_000_000) == []


def test_reap_with_a_time_limit_returns_ended_slots(queue: Queue, descriptor: int) -> None:
    (buffer,) = buffers(1)
    queue.prepare(3, True, descriptor, buffer.address, BLOCK, 0)
    queue.submit()
    assert queue.reap(60 * 10**9) == [(3, BLOCK)]


@pytest.mark.parametrize("limit_ns", [None, 60 * 10**9])
def test_wake_ends_one_wait_whether_it_comes_before_or_during(
    queue: Queue, limit_ns: int | None
) -> None:
    begins = threading.Barrier(2)

    def wake() -> None:
        for _ in range(20):
            begins.wait()
            queue.wake()

    thread = threading.Thread(target=wake)
    thread.start()
    for _ in range(20):
        begins.wait()
        assert queue.reap(limit_ns) == []
    thread.join()
    assert queue.reap(1) == []


def test_wake_stays_for_the_next_wait_if_a_look_comes_between(queue: Any) -> None:
    queue.wake()
    assert queue.reap(None) == []  # the wake event is waited for from now on
    assert queue.reap(1) == []
    queue.wake()
    queue.wake()
    assert queue.reap(0) == []
    assert queue.reap(None) == []
    assert queue._wake.take() == 0, "the next wait would return too"
    assert queue.reap(1) == []


def test_wake_does_not_hide_ended_slots(queue: Queue, descriptor: int) -> None:
    memory = buffers(SLOTS)
    for _ in range(20):
        for slot, buffer in enumerate(memory):
            queue.prepare(slot, True, descriptor, buffer.address, BLOCK, BLOCK * slot)
        queue.submit()
        queue.wake()
        assert collected(queue, SLOTS) == dict.fromkeys(range(SLOTS), BLOCK)


@pytest.mark.slow
def test_reset_waits_for_all_and_discards_their_results(queue: Queue, descriptor: int) -> None:
    os.pwrite(descriptor, AlignedBuffer(BLOCK * SLOTS).bytes, 0)
    for generation in (1, 2):
        memory = buffers(SLOTS, generation)
        for slot, buffer in enumerate(memory):
            queue.prepare(slot, True, descriptor, buffer.address, BLOCK, BLOCK * slot)
        queue.submit()
        queue.reset()
        for buffer in memory:
            buffer.bytes[:] = bytes(BLOCK)  # nothing moves any more
        back = aligned_buffer(BLOCK * SLOTS)
        assert os.preadv(descriptor, [back.bytes], 0) == BLOCK * SLOTS
        assert bytes(back.bytes) == b"".join(
            bytes(buffer.bytes) for buffer in buffers(SLOTS, generation)
        )
        assert queue.reap(0) == []


def test_reset_discards_prepared_and_rejected_slots(queue: Queue, descriptor: int) -> None:
    (buffer,) = buffers(1)
    queue.prepare(0, True, 1 << 20, buffer.address, BLOCK, 0)
    queue.submit()
    queue.prepare(1, True, descriptor, buffer.address, BLOCK, 0)
    queue.reset()
    queue.submit()
    assert queue.reap(0) == []
    queue.reset()
    assert os.fstat(descriptor).st_size == 0


@pytest.mark.slow
@pytest.mark.parametrize("wakes", [0, 1, 2])
@pytest.mark.parametrize("waits_before", [0, 1])
def test_reset_keeps_a_wake_of_another_thread(queue: Queue, wakes: int, waits_before: int) -> None:
    for _ in range(waits_before):
        queue.reap(1)
    for _ in range(wakes):
        queue.wake()
    queue.reset()
    queue.reset()
    if wakes:
        assert queue.reap(None) == []
    assert queue.reap(1) == []


def test_queue_is_closed_twice_and_wakes_no_more(queue: Queue, tmp_path: Path) -> None:
    queue.close()
    with (tmp_path / "file").open("wb") as file:  # may have a descriptor that the queue had
        queue.close()
        queue.wake()
        file.flush()
    assert (tmp_path / "file").read_bytes() == b""


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_queues_leave_no_descriptors(kind: QueueKind) -> None:
    before = descriptors()
    for _ in range(3):
        made = opened(kind)
        made.reap(1)
        made.close()
    assert descriptors() == before


@pytest.fixture
def on_signal() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Run a function when this thread gets SIGUSR1."""
    former = signal.getsignal(signal.SIGUSR1)

    def handle(run: Callable[[], None]) -> None:
        signal.signal(signal.SIGUSR1, lambda *_: run())

    yield handle
    signal.signal(signal.SIGUSR1, former)


@pytest.mark.parametrize("limit_ns", [None, 60 * 10**9])
def test_wait_goes_on_after_signals_until_a_handler_wakes_it(
    queue: Queue, on_signal: Any, limit_ns: int | None
) -> None:
    seen: list[int] = []
    ended = threading.Event()

    def handle() -> None:
        seen.append(1)
        if len(seen) == 3:
            queue.wake()

    on_signal(handle)
    main = threading.get_ident()

    def send() -> None:
        while len(seen) < 3:
            count = len(seen)
            signal.pthread_kill(main, signal.SIGUSR1)
            while len(seen) == count and not ended.wait(0.001):
                pass

    thread = threading.Thread(target=send)
    thread.start()
    assert queue.reap(limit_ns) == []
    ended.set()
    thread.join()
    assert len(seen) == 3


def test_interrupted_wait_is_followed_by_a_correct_reset(
    queue: Queue, descriptor: int, on_signal: Any
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    on_signal(interrupt)
    main = threading.get_ident()
    thread = threading.Thread(target=lambda: signal.pthread_kill(main, signal.SIGUSR1))
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012  # comes anywhere within
        thread.start()
        while True:
            queue.reap(None)
    thread.join()
    memory = buffers(SLOTS)
    queue.reset()
    for slot, buffer in enumerate(memory):
        queue.prepare(slot, True, descriptor, buffer.address, BLOCK, BLOCK * slot)
    queue.submit()
    assert collected(queue, SLOTS) == dict.fromkeys(range(SLOTS), BLOCK)


def interrupt_at(line: int, run: Callable[[], object]) -> bool:
    """Run a function; return whether it was interrupted before a line of the package (from 1)."""
    seen = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal seen
        if "mlpstorage_bench/storage" not in frame.f_code.co_filename:
            return None
        seen += event == "line"
        if event == "line" and seen == line:
            raise KeyboardInterrupt
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(former)
    return False


@pytest.mark.slow
def test_reset_after_an_interrupt_at_any_line_waits_for_all(queue: Queue, tmp_path: Path) -> None:
    memory = buffers(3)
    with (tmp_path / "file").open("w+b") as file:
        descriptors = (file.fileno(), 1 << 20, file.fileno())

        def move() -> None:
            for slot, (buffer, descriptor) in enumerate(zip(memory, descriptors, strict=True)):
                queue.prepare(slot, True, descriptor, buffer.address, BLOCK, BLOCK * slot)
            queue.submit()
            queue.wake()
            queue.reap(None)
            queue.wake()
            queue.reap(60 * 10**9)

        line = 1
        while interrupt_at(line, move):
            interrupt_at(line, queue.reset)
            queue.reset()
            line += 1
        queue.reset()
        assert line > 30
        move()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_queue_whose_close_was_interrupted_is_closed_again(kind: QueueKind, tmp_path: Path) -> None:
    (buffer,) = buffers(1)
    line, was_interrupted = 1, True
    with (tmp_path / "file").open("w+b") as file:
        while was_interrupted:
            queue = opened(kind)
            queue.prepare(0, True, file.fileno(), buffer.address, BLOCK, 0)
            queue.submit()
            was_interrupted = interrupt_at(line, queue.close)
            queue.close()
            line += 1
    assert line > 5


@pytest.mark.slow
def test_queue_is_reset_by_another_thread_than_the_one_that_used_it(
    queue: Queue, descriptor: int
) -> None:
    memory = buffers(SLOTS)
    may_end = threading.Event()
    submitted = threading.Event()

    def submit() -> None:
        for slot, buffer in enumerate(memory):
            queue.prepare(slot, True, descriptor, buffer.address, BLOCK, BLOCK * slot)
        queue.submit()
        submitted.set()
        may_end.wait()

    for ends_first in (False, True):
        thread = threading.Thread(target=submit)
        thread.start()
        submitted.wait()
        if ends_first:
            may_end.set()
            thread.join()
        queue.reset()
        may_end.set()
        thread.join()
        may_end.clear()
        submitted.clear()
        back = aligned_buffer(BLOCK * SLOTS)
        assert os.preadv(descriptor, [back.bytes], 0) == BLOCK * SLOTS
        assert bytes(back.bytes) == b"".join(bytes(buffer.bytes) for buffer in memory)


BLOCKS = 6
STEPS = st.one_of(
    st.tuples(st.just("transfer"), st.booleans(), st.integers(0, BLOCKS - 1)),
    st.tuples(st.sampled_from([*("submit", "look", "wait") * 3, *("wake",) * 2, "reset"])),
)


class Model:
    """A file of blocks beside its queue: no two transfers of a block are in flight at once."""

    def __init__(self, queue: Queue, descriptor: int, memory: list[AlignedBuffer]) -> None:
        self.queue, self.descriptor = queue, descriptor
        self.rng = random.Random(1)
        self.memory = memory
        self.content = [bytes(BLOCK)] * BLOCKS
        self.sent: dict[int, tuple[bool, int]] = {}
        """Direction and block of the slots that are prepared or in flight."""
        self.prepared: set[int] = set()

    def transfer(self, is_write: bool, block: int) -> None:
        free = sorted(set(range(SLOTS)) - self.sent.keys())
        if block in {busy for _, busy in self.sent.values()}:
            return
        slot = self.rng.choice(free)
        buffer = self.memory[slot]
        buffer.bytes[:] = self.rng.randbytes(BLOCK)
        self.queue.prepare(slot, is_write, self.descriptor, buffer.address, BLOCK, BLOCK * block)
        self.sent[slot] = (is_write, block)
        self.prepared.add(slot)

    def submit(self) -> None:
        self.queue.submit()
        self.prepared.clear()

    def end(self, events: list[Event]) -> None:
        for slot, result in events:
            assert result == BLOCK
            is_write, block = self.sent.pop(slot)
            content = bytes(self.memory[slot].bytes)
            if is_write:
                self.content[block] = content
            assert content == self.content[block]

    def look(self) -> None:
        self.end(self.queue.reap(0))

    def wait(self) -> None:
        if self.sent.keys() - self.prepared:
            self.end(self.queue.reap(None))
        else:
            self.queue.wake()
            assert self.queue.reap(None) == []

    def wake(self) -> None:
        self.queue.wake()

    def reset(self) -> None:
        self.queue.reset()
        for slot in self.sent.keys() - self.prepared:
            is_write, block = self.sent[slot]
            if is_write:
                self.content[block] = bytes(self.memory[slot].bytes)
        self.sent.clear()
        self.prepared.clear()

    def finish(self) -> None:
        self.submit()
        while self.sent:
            self.wait()
        back = aligned_buffer(BLOCK * BLOCKS)
        assert os.preadv(self.descriptor, [back.bytes], 0) == BLOCK * BLOCKS
        assert bytes(back.bytes) == b"".join(self.content)


@pytest.mark.slow
@pytest.mark.parametrize("is_registered", [False, True], ids=["each time", "mapped once"])
@pytest.mark.parametrize("memory", MEMORY_KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_any_sequence_of_calls_leaves_the_file_of_its_model(
    kind: QueueKind, memory: MemoryKind, is_registered: bool
) -> None:
    pool = pool_in(memory, BLOCK, SLOTS)
    buffers = [pool.take() for _ in range(SLOTS)]
    with closing(opened(kind)) as queue:  # one for all: the kernel takes long to destroy it
        if is_registered:
            assert queue.register_memory([pool.memory]) == (kind == "io_uring")

        @given(steps=st.lists(STEPS, max_size=60))
        def check(steps: list[tuple[Any, ...]]) -> None:
            queue.reset()
            with tempfile.TemporaryFile() as file:
                os.ftruncate(file.fileno(), BLOCK * BLOCKS)
                model = Model(queue, file.fileno(), buffers)
                for name, *arguments in steps:
                    getattr(model, name)(*arguments)
                model.finish()

        check()


def test_every_kind_is_tested() -> None:
    assert set(QUEUES) == set(KINDS)
