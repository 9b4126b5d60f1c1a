from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from mlpstorage_bench.kvcache.runner.scheduler import (
    MOST_ADMITTED,
    ClosedLoopScheduler,
    DueRequest,
    OpenLoopScheduler,
)
from mlpstorage_bench.kvcache.workload.request_source import Arrival
from mlpstorage_bench.kvcache.workload.requests import Request, UserStream
from mlpstorage_bench.kvcache.workload.users import QOS_CLASSES, User
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.storage.io_thread import IoThread
from tests.lanes import run_lanes


def stream(index: int, priority: int, think_s: float = 0.0) -> UserStream:
    qos = next(qos for qos in QOS_CLASSES if qos.priority == priority)
    user = User(index, "chatbot", qos, 100, 10, think_s)
    requests = (Request(index, priority, 0, turn, 100, 10, think_s) for turn in itertools.count())
    return UserStream(user, 0.0, requests)


def opened(streams: list[UserStream], think_time_scale: float) -> ClosedLoopScheduler:
    scheduler = ClosedLoopScheduler(streams, think_time_scale, Window())
    scheduler.open()
    return scheduler


def take(scheduler: ClosedLoopScheduler) -> DueRequest:
    due = scheduler.take()
    assert due is not None
    return due


def test_most_urgent_user_is_served_first() -> None:
    scheduler = opened([stream(0, 1), stream(1, 3), stream(2, 2), stream(3, 3)], 1.0)
    assert [take(scheduler).request.user for _ in range(4)] == [1, 3, 2, 0]


def test_turn_starts_after_the_end_of_the_previous_turn() -> None:
    scheduler = opened([stream(0, 1)], 1.0)
    first = take(scheduler)
    taken: list[DueRequest | None] = []

    def finish() -> None:
        assert taken == []
        scheduler.finished(first, time.perf_counter_ns())

    run_lanes([lambda: taken.append(scheduler.take()), finish])
    (second,) = taken
    assert second is not None
    assert (first.request.turn, second.request.turn) == (0, 1)


def test_think_time_starts_at_the_end_of_the_request() -> None:
    scheduler = opened([stream(0, 1, think_s=3.0)], 0.5)
    first = take(scheduler)
    ended_ns = time.perf_counter_ns() - 1_600_000_000
    scheduler.finished(first, ended_ns)
    assert take(scheduler).due_ns == ended_ns + 1_500_000_000


def test_stop_releases_every_waiting_worker() -> None:
    scheduler = opened([stream(0, 1)], 1.0)
    take(scheduler)  # the others wait for its end
    taken: list[DueRequest | None] = []
    thread = IoThread(None, 1)
    waiting = [thread.start(lambda: taken.append(scheduler.take())) for _ in range(4)]
    scheduler.stop()
    thread.resume_all()
    for worker in waiting:
        worker.result(20)
    thread.close()
    assert taken == [None] * 4


def test_requests_due_faster_than_generated_do_not_block_the_scheduler() -> None:
    """Generation of a second of arrivals takes longer than a second: batches are small."""
    made = 0

    def arrivals() -> Iterator[Arrival]:
        nonlocal made
        for made in itertools.count(1):
            yield Arrival(0.0, Request(made, 1, 0, 0, 100, 10, 0.0))

    scheduler = OpenLoopScheduler(arrivals(), Window())
    scheduler.open()
    for taken in range(1, 4):
        assert scheduler.take() is not None
        assert made <= taken * MOST_ADMITTED + 1


def test_requests_due_but_not_taken_are_reported_with_their_wait() -> None:
    window = Window()
    count = 3 * MOST_ADMITTED
    requests = (Arrival(0.0, Request(user, 1, 0, 0, 100, 10, 0.0)) for user in range(count))
    scheduler = OpenLoopScheduler(requests, window)
    scheduler.open()
    window.open(0.001)
    time.sleep(0.002)
    window.close()
    assert len(scheduler.waits_ns()) == count
