"""Samples of what lanes wait for: Python's lock or a processor, inside transfers or elsewhere."""

from __future__ import annotations

import ctypes
import itertools
import os
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from mlpstorage_bench.measure import threads
from mlpstorage_bench.measure.wait_sampler import WaitSampler, WaitShares


def ids(*those: threading.Thread) -> dict[int, int]:
    """Return the kernel's id of each thread, and Python's."""
    return {one.native_id: one.ident for one in those if one.native_id and one.ident}


def shares(sampler: WaitSampler) -> WaitShares:
    if sampler.shares is None:
        pytest.skip("this kernel does not show what threads wait for")
    return sampler.shares


def shares_of_this_thread(sampler: WaitSampler) -> WaitShares:
    sampler.sample(ids(threading.main_thread()))
    return shares(sampler)


def lock_share(sampler: WaitSampler) -> float:
    return shares(sampler).lock


@contextmanager
def lock_kept() -> Iterator[None]:
    """Keep Python's lock between calls that give it away."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        yield
    finally:
        sys.setswitchinterval(interval_s)


def write_with_lock(descriptor: int) -> None:
    """Write a byte without giving Python's lock away."""
    assert ctypes.PyDLL(None).write(ctypes.c_int(descriptor), b"x", ctypes.c_size_t(1)) == 1


def read_a_byte(descriptor: int) -> None:
    os.read(descriptor, 1)


def see_waiting(
    sampler: WaitSampler,
    waits_in: Callable[[int], None],
    note_wait: Callable[[int], object] = int,
) -> bool:
    """Return whether a thread is seen to wait for Python's lock before it gets that."""
    reading, writing = os.pipe()
    thread = threading.Thread(target=waits_in, args=(reading,))
    thread.start()
    assert thread.native_id is not None
    with lock_kept():
        write_with_lock(writing)
        seen: bool | None = False
        while seen is False:  # until the thread has had a processor; None when it has ended
            seen = sampler._waits_for_lock(thread.native_id, thread.ident, note_wait)
    thread.join()
    os.close(reading)
    os.close(writing)
    return bool(seen)


def test_thread_that_wants_pythons_lock_is_seen_to_wait() -> None:
    with WaitSampler() as sampler:
        shares_of_this_thread(sampler)
        assert any(see_waiting(sampler, read_a_byte) for _ in range(100))


@pytest.mark.parametrize(
    ("lanes", "waiting", "share"),
    [(1, 1, 0), (2, 0, 0), (2, 1, 0), (2, 2, 1 / 2), (4, 4, 3 / 4), (16, 16, 15 / 16)],
)
def test_lane_that_would_have_the_lock_without_the_sampler_does_not_wait(
    monkeypatch: pytest.MonkeyPatch, lanes: int, waiting: int, share: float
) -> None:
    sampler = WaitSampler()
    monkeypatch.setattr(sampler, "_interpreter", range(0x100, 0x200))
    calls = {number: b"202 0x110" if number < waiting else b"0 0x7" for number in range(lanes)}
    monkeypatch.setattr(sampler, "_read", calls.get)
    for _ in range(lanes):
        sampler.sample({number: number for number in range(lanes)})
    assert lock_share(sampler) == share


def share_of(*sleepers: threading.Thread) -> float:
    """Return the share of samples in which threads wait for Python's lock."""
    with WaitSampler() as sampler:
        for _ in range(200):
            sampler.sample(ids(*sleepers))
        return lock_share(sampler)


@contextmanager
def sleeping(sleep: Callable[[], object], wake: Callable[[], object]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=sleep)
    thread.start()
    try:
        yield thread
    finally:
        wake()
        thread.join()


def test_threads_that_wait_for_another_lock_or_a_file_do_not_wait_for_pythons() -> None:
    event = threading.Event()
    with (
        sleeping(event.wait, event.set) as one,
        sleeping(event.wait, event.set) as other,
    ):
        assert share_of(one, other) < 0.1
    pipes = [os.pipe(), os.pipe()]  # of one, either thread might read the byte for the other
    with (
        sleeping(lambda: os.read(pipes[0][0], 1), lambda: os.write(pipes[0][1], b"x")) as one,
        sleeping(lambda: os.read(pipes[1][0], 1), lambda: os.write(pipes[1][1], b"x")) as other,
    ):
        assert share_of(one, other) < 0.1
    for descriptor in (*pipes[0], *pipes[1]):
        os.close(descriptor)


def test_lanes_are_sampled_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    sampler = WaitSampler()

    def read(thread_id: int) -> bytes:
        seen.append(thread_id)
        return b"running\n"

    monkeypatch.setattr(sampler, "_read", read)
    for _ in range(3):
        sampler.sample({number: number for number in range(10)})
    assert sorted(seen) == sorted([*range(10), seen[-2], seen[-1]])
    assert lock_share(sampler) == 0
    assert WaitSampler().shares is None


def transfer(descriptor: int) -> None:
    os.read(descriptor, 1)


@pytest.mark.parametrize("waits_in", [transfer, read_a_byte])
def test_waits_for_the_lock_inside_transfers_are_counted_apart(
    waits_in: Callable[[int], None],
) -> None:
    with WaitSampler({transfer.__code__}) as sampler:
        before = shares_of_this_thread(sampler)
        assert before.lock_in_transfers == 1  # nothing is known yet
        noted: list[int] = []
        assert any(see_waiting(sampler, waits_in, noted.append) for _ in range(100))
        after = shares_of_this_thread(sampler)
    assert bool(noted) == (waits_in is transfer)
    assert (after.lock_in_transfers == 1) == (waits_in is transfer)


class Checksums:
    """A thread that computes checksums without Python's lock."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._data = bytes(1 << 24)

    def run(self) -> None:
        while not self._done.is_set():
            zlib.crc32(self._data)

    def stop(self) -> None:
        self._done.set()


@pytest.mark.slow
@pytest.mark.parametrize("is_transfer", [True, False])
def test_waits_for_a_processor_inside_transfers_are_counted_apart(*, is_transfer: bool) -> None:
    work = Checksums()
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})  # this thread has the only processor when it samples
    try:
        code = {Checksums.run.__code__} if is_transfer else {transfer.__code__}
        with sleeping(work.run, work.stop) as thread, WaitSampler(code) as sampler:
            for _ in range(200):
                sampler.sample(ids(thread))
        assert (shares(sampler).queued_in_transfers == 1) == is_transfer
    finally:
        os.sched_setaffinity(0, allowed)


def test_code_of_many_lanes_is_looked_at_in_some_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = itertools.count()

    def no_frames() -> dict[int, FrameType]:
        next(looks)
        return {}

    monkeypatch.setattr(sys, "_current_frames", no_frames)
    monkeypatch.setattr(threads, "cpu_ns", lambda _thread_id: 0)
    sampler = WaitSampler()
    monkeypatch.setattr(sampler, "_read", lambda _thread_id: b"running\n")
    lanes = {number: number for number in range(256)}
    for _ in range(65):
        sampler.sample(lanes)
    assert next(looks) == 4  # of 260 samples
    assert sampler.shares == WaitShares(0, 1, 1 / 5)
