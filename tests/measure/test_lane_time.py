"""Uses of the lanes' time: readings of threads, and conclusions."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from typing import Self

import pytest

from mlpstorage_bench.measure import threads
from mlpstorage_bench.measure.ceiling import limited_by
from mlpstorage_bench.measure.lane_time import LaneTime, ThreadTimes
from mlpstorage_bench.measure.process import cpu_s
from mlpstorage_bench.measure.wait_sampler import WaitShares
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


@pytest.mark.slow
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
    waits = WaitShares(lock=0.25, lock_in_transfers=0.5, queued_in_transfers=0.125)
    spent = closed.since(opened, lanes=2, request_ns=NS_PER_S // 2, waits=waits)
    assert spent == LaneTime(
        total_s=4,
        cpu_s=2,
        queued_s=1,
        lock_s=1,
        request_s=0.5,
        late_s=0.5 + 0.125,
    )
    assert (spent.harness_s, spent.storage_s) == (3.5, 0)  # samples said more
    assert closed.since(opened, 2, 0, None) is None
    delayed = replace(closed, delayed=(7, 19))
    sampled = delayed.since(replace(opened, delayed=(3, 4)), 2, 0, waits)
    assert sampled is not None
    assert (sampled.late_samples, sampled.late_spans) == (4, 15)
    assert sampled.late_spans_s(most=10) == 0.625 * (15 + 10) / 5
    unknown = ThreadTimes(2 * NS_PER_S, {1: 100, 2: 0}, {1: 10})
    assert unknown.since(opened, 2, 0, waits) is None
