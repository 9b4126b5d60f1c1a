"""Uses of the lanes' time: readings of threads, samples of Python's lock, conclusions."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

import pytest

from mlpstorage_bench.measure import threads
from mlpstorage_bench.measure.ceiling import limited_by
from mlpstorage_bench.measure.lane_time import LaneTime, LockSampler, ThreadTimes
from mlpstorage_bench.measure.process import cpu_s
from mlpstorage_bench.units import NS_PER_S

SPUN_NS = 50_000_000


class Spinner:
    """A thread that works until it is stopped, and says what its own clock reads."""

    def __init__(self) -> None:
        self.spun_ns = 0
        self.thread_id = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._spin)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._done.set()
        self._thread.join()

    def _spin(self) -> None:
        self.thread_id = threading.get_native_id()
        while not self._done.is_set():
            self.spun_ns = time.thread_time_ns()

    def wait_for(self, time_ns: int) -> None:
        while self.spun_ns < time_ns:
            time.sleep(0.001)


def test_cpu_time_of_a_thread_that_still_runs_is_complete() -> None:
    before_s = cpu_s()
    with Spinner() as spinner:
        for number in range(1, 4):
            spinner.wait_for(number * SPUN_NS)
            spun_ns = spinner.spun_ns
            assert threads.cpu_ns(spinner.thread_id) >= spun_ns
            assert (cpu_s() - before_s) * NS_PER_S >= spun_ns


def test_thread_that_is_not_of_this_process_has_no_times() -> None:
    assert threads.cpu_ns(1) == 0
    assert threads.queued_ns(1) is None


def test_thread_that_shares_a_processor_has_waited_for_it() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        with Spinner() as spinner:
            spinner.wait_for(1)
            if threads.queued_ns(spinner.thread_id) is None:
                pytest.skip("this kernel has no schedstat")
            while not threads.queued_ns(spinner.thread_id):
                sum(range(100_000))
    finally:
        os.sched_setaffinity(0, allowed)


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


def test_thread_that_wants_pythons_lock_is_seen_to_wait() -> None:
    reading, writing = os.pipe()
    thread = threading.Thread(target=os.read, args=(reading, 1))
    thread.start()
    assert thread.native_id is not None
    with LockSampler() as sampler, lock_kept():
        sampler.sample([thread.native_id])
        if sampler.share is None:
            pytest.skip("this kernel does not show what threads wait for")
        write_with_lock(writing)
        for _ in range(1_000_000):  # until the thread has had a processor
            sampler.sample([thread.native_id])
            if sampler.share:
                break
    thread.join()
    os.close(reading)
    os.close(writing)
    assert sampler.share


def share_of(thread_id: int) -> float:
    """Return the share of samples in which a thread waits for Python's lock."""
    with LockSampler() as sampler:
        for _ in range(200):
            sampler.sample([thread_id])
        if sampler.share is None:
            pytest.skip("this kernel does not show what threads wait for")
        return sampler.share


@contextmanager
def sleeping(sleep: Callable[[], object], wake: Callable[[], object]) -> Iterator[int]:
    thread = threading.Thread(target=sleep)
    thread.start()
    try:
        assert thread.native_id is not None
        yield thread.native_id
    finally:
        wake()
        thread.join()


def test_thread_that_waits_for_another_lock_or_a_file_does_not_wait_for_pythons() -> None:
    event = threading.Event()
    with sleeping(event.wait, event.set) as thread_id:
        assert share_of(thread_id) < 0.1
    reading, writing = os.pipe()
    with sleeping(lambda: os.read(reading, 1), lambda: os.write(writing, b"x")) as thread_id:
        assert share_of(thread_id) < 0.1
    os.close(reading)
    os.close(writing)


def test_lanes_are_sampled_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    sampler = LockSampler()

    def read(thread_id: int) -> bytes:
        seen.append(thread_id)
        return b"running\n"

    monkeypatch.setattr(sampler, "_read", read)
    for _ in range(3):
        sampler.sample(range(10))
    assert sorted(seen) == sorted([*range(10), seen[-2], seen[-1]])
    assert sampler.share == 0
    assert LockSampler().share is None


def lane_time(cpu: float = 0, queued: float = 0, lock: float = 0, request: float = 0) -> LaneTime:
    return LaneTime(10, cpu, queued, lock, request)


@pytest.mark.parametrize(
    ("ratio", "spent", "limit"),
    [
        (0.1, lane_time(cpu=0.5), "storage"),  # throttled: 5 % of a processor, and devices idle
        (0.5, lane_time(cpu=4, queued=2), "harness"),  # copies on all processors
        (0.5, lane_time(cpu=2, lock=5), "harness"),  # many lanes with small chunks
        (0.1, lane_time(cpu=1, request=6), "load"),
        (0.1, lane_time(cpu=1, request=4), "storage"),
        (0.8, lane_time(), "harness"),
        (0.1, None, "unknown"),
        (None, lane_time(), "not calibrated"),
    ],
)
def test_limit_is_what_most_of_the_lanes_time_was_spent_on(
    ratio: float | None, spent: LaneTime | None, limit: str
) -> None:
    assert limited_by(ratio, spent) == limit


def test_waits_for_data_in_memory_are_the_hosts() -> None:
    waits = lane_time(cpu=0.5)
    assert limited_by(0.1, waits, 0.4) == "storage"
    assert limited_by(0.1, waits, 0.6) == "harness"
    assert limited_by(0.1, lane_time(request=9), 0.6) == "load"


def test_lane_times_of_ranks_add_up_or_are_unknown() -> None:
    total = LaneTime.sum([lane_time(cpu=1, queued=2), lane_time(lock=3, request=4)])
    assert total == LaneTime(20, 1, 2, 3, 4)
    assert total is not None
    assert (total.harness_s, total.storage_s) == (6, 10)
    assert LaneTime.sum([lane_time(), None]) is None
    assert LaneTime.sum([]) is None


def test_times_of_a_window_are_those_between_its_readings() -> None:
    opened = ThreadTimes(0, {1: 100}, {1: 10})
    closed = ThreadTimes(2 * NS_PER_S, {1: 100 + NS_PER_S, 2: NS_PER_S}, {1: 10, 2: NS_PER_S})
    spent = closed.since(opened, lanes=2, request_ns=NS_PER_S // 2, lock_share=0.25)
    assert spent == LaneTime(total_s=4, cpu_s=2, queued_s=1, lock_s=1, request_s=0.5)
    assert (spent.harness_s, spent.storage_s) == (3.5, 0)  # samples said more
    assert closed.since(opened, 2, 0, None) is None
    unknown = ThreadTimes(2 * NS_PER_S, {1: 100, 2: 0}, {1: 10})
    assert unknown.since(opened, 2, 0, 0.0) is None
