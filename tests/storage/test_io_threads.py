"""Several IO threads whose lanes share objects: one lane of all runs at a time."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpstorage_bench.storage import io_thread, transfers
from mlpstorage_bench.storage.io_threads import IoThreads
from mlpstorage_bench.storage.lane_waits import WaitList, off_thread
from tests.lanes import LONG_S, SteppingTime, error_of, operations

WAITS = st.sampled_from(["operation", "call", "aside", "time", "wait", "notify"])


@pytest.mark.slow
@given(count=st.integers(1, 3), lanes=st.lists(st.lists(WAITS, max_size=8), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_lanes_lose_no_update_of_what_they_share(count: int, lanes: list[list[str]]) -> None:
    """Between two waits no other lane runs, on whichever thread it is."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        assert updates_by(count, lanes) == sum(len(steps) for steps in lanes)
    finally:
        sys.setswitchinterval(interval)


def updates_by(count: int, lanes: list[list[str]]) -> int:
    """Run lanes on `count` threads, which update what they share after each of these waits."""
    shared = [0]
    changed = WaitList()

    def update() -> None:
        seen = shared[0]
        for _ in range(200):  # time for other threads, if they may run
            pass
        shared[0] = seen + 1

    with IoThreads(count, None, lanes=len(lanes), chunks_in_flight=1) as threads:

        def work(lane: int) -> None:
            thread = threads.of_lane(lane)
            waits: dict[str, Callable[[], Any]] = {
                "operation": thread.begin_operation,
                "call": lambda: off_thread(int),
                "aside": lambda: thread.aside(time.sleep, 0),
                "time": lambda: changed.wait(until_ns=time.perf_counter_ns()),
                "wait": lambda: changed.wait(until_ns=time.perf_counter_ns() + 100_000),
                "notify": changed.notify_all,
            }
            for step in lanes[lane]:
                waits[step]()
                update()

        results = threads.start([partial(work, lane) for lane in range(len(lanes))])
        assert [error_of(result) for result in results] == [None] * len(lanes)
    return shared[0]


def test_thread_that_never_waits_gives_the_turn_away(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, has_run = threading.Event(), threading.Event()
    clock = SteppingTime(step_ns=1_000_000, on_sleep=lambda: has_run.wait(LONG_S))
    for module in (io_thread, transfers):
        monkeypatch.setattr(module, "time", clock)
    with IoThreads(2, None, lanes=2, chunks_in_flight=1) as threads:

        def busy() -> None:
            begun.set()
            for _ in operations(threads.of_lane(0), 20):
                pass
            assert has_run.is_set(), "the other thread's lane has never had the turn"

        first = threads.of_lane(0).start(busy)
        begun.wait()
        second = threads.of_lane(1).start(has_run.set)
        assert (error_of(first), error_of(second)) == (None, None)


def test_wakeups_between_threads_are_not_lost() -> None:
    """Two lanes take turns; each waits for the other one's notice, without a time."""
    rounds = 500
    with IoThreads(2, None, lanes=2, chunks_in_flight=1) as threads:
        changed = WaitList()
        count = [0]

        def work(lane: int) -> None:
            while count[0] < rounds:
                if count[0] % 2 == lane:
                    count[0] += 1
                    changed.notify_all()
                else:
                    changed.wait()

        results = threads.start([partial(work, lane) for lane in range(2)])
        assert [error_of(result) for result in results] == [None, None]


def test_stopped_lanes_of_all_threads_leave_their_wait_lists() -> None:
    changed, begun = WaitList(), threading.Semaphore(0)

    def work() -> None:
        begun.release()
        changed.wait()

    with IoThreads(3, None, lanes=9, chunks_in_flight=1) as threads:
        results = threads.start([work] * 9)
        for _ in results:
            begun.acquire()
        threads.resume_all()
        assert [error_of(result) for result in results] == [None] * 9
