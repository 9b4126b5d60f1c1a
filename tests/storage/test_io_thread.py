"""Lanes that share an IO thread: they take turns, wait for each other, fail, and end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import partial

import pytest

from mlpstorage_bench.storage import io_thread, transfers
from mlpstorage_bench.storage.io_thread import IoThread
from mlpstorage_bench.storage.kernel_queue import QueueRefusedError
from mlpstorage_bench.storage.lane_waits import CutOffError, WaitList, off_thread
from mlpstorage_bench.storage.queues import QUEUES
from tests.lanes import SteppingTime, Work, error_of, operations, run_lanes

LANES = 100


@pytest.fixture
def thread() -> Iterator[IoThread]:
    """IO thread of many lanes without a kernel queue."""
    made = IoThread(None, 1, helpers=4)
    yield made
    made.close()


@pytest.fixture(params=["no queue", *QUEUES])
def thread_of_each_kind(request: pytest.FixtureRequest) -> Iterator[IoThread]:
    """IO thread that waits without a kernel queue, or in one of each kind, opened by a lane."""
    kind = QUEUES.get(request.param)
    if kind is not None:
        try:
            kind(1).close()
        except QueueRefusedError as error:
            pytest.skip(str(error))
    made = IoThread(kind, 1, helpers=4)

    def use_queue() -> None:
        assert (made.transfers.queue is None) == (kind is None)

    assert error_of(made.start(use_queue)) is None
    yield made
    made.close()


def run_together(thread: IoThread, works: Sequence[Work]) -> None:
    """Run works as lanes that begin in one round, and raise the error of the first that failed."""
    results: list[Future[None]] = []
    run_lanes([lambda: results.extend(thread.start(work) for work in works)], thread)
    for result in results:
        result.result(0)


def test_many_lanes_with_waits_of_every_kind_finish(thread_of_each_kind: IoThread) -> None:
    changed = WaitList()
    finished: list[int] = []

    def work(number: int) -> None:
        for step in operations(thread_of_each_kind, 6):
            if (number + step) % 3 == 0:
                assert off_thread(int, str(number)) == number
            elif (number + step) % 3 == 1:
                changed.wait(until_ns=time.perf_counter_ns() + 1000)
            else:
                changed.notify_all()
        finished.append(number)

    run_lanes([partial(work, number) for number in range(LANES)], thread_of_each_kind)
    assert sorted(finished) == list(range(LANES))


def test_lane_that_never_waits_lets_others_run(thread: IoThread) -> None:
    counts = [0, 0, 0]

    def busy(lane: int) -> None:
        for _ in operations(thread, 100):
            counts[lane] += 1
            assert max(counts) - min(counts) <= 1

    run_together(thread, [partial(busy, lane) for lane in range(3)])
    assert counts == [100, 100, 100]


def test_lane_that_never_waits_lets_timers_fire(thread: IoThread) -> None:
    changed = WaitList()
    fired: list[int] = []

    def busy() -> None:
        for number in operations(thread, 100):
            assert len(fired) >= number - 2

    def waiting() -> None:
        for number in range(100):
            changed.wait(until_ns=time.perf_counter_ns())
            fired.append(number)

    run_together(thread, [waiting, busy])


def test_wait_in_many_parts_takes_one_timer(thread: IoThread) -> None:
    changed = WaitList()
    later_ns = time.perf_counter_ns() + 10**15

    def waiting() -> None:
        for _ in range(100):
            changed.wait(until_ns=later_ns)

    def notifying() -> None:
        for _ in operations(thread, 100):
            changed.notify_all()

    run_together(thread, [waiting, notifying])
    assert len(thread._timers) == 1


def test_timer_of_an_earlier_wait_does_not_end_a_later_one(thread: IoThread) -> None:
    changed = WaitList()
    soon_ns = time.perf_counter_ns() + 1_000_000
    is_over: list[bool] = []

    def waiting() -> None:
        changed.wait(until_ns=soon_ns)  # it is notified before
        for until_ns in (soon_ns + 2_000_000, soon_ns + 1_000_000):
            changed.wait(until_ns=until_ns)
            is_over.append(time.perf_counter_ns() >= until_ns)

    run_together(thread, [waiting, changed.notify_all])
    assert is_over == [True, True]


def test_first_operation_after_a_wait_begins_at_once(thread: IoThread) -> None:
    """The lane gave up the thread a moment ago: its storage would only be idle for longer."""
    order: list[str] = []

    def work() -> None:
        for number in operations(thread, 2):
            order.append(f"begins {number}")
            off_thread(int)
            order.append(f"has waited {number}")

    def busy() -> None:
        order.extend("busy" for _ in operations(thread, 20))

    run_together(thread, [work, busy])
    assert order.index("begins 1") == order.index("has waited 0") + 1


def test_thread_that_never_waits_gives_way_every_5_ms(
    thread: IoThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SteppingTime(step_ns=100_000)
    for module in (io_thread, transfers):
        monkeypatch.setattr(module, "time", clock)

    def busy() -> None:
        for _ in operations(thread, 1000):
            pass

    run_together(thread, [busy, busy])
    pauses = [
        after - before for before, after in zip(clock.slept_at, clock.slept_at[1:], strict=False)
    ]
    assert len(pauses) > 10
    assert 5e6 < min(pauses) <= max(pauses) < 6e6


def test_error_of_a_lane_is_in_its_result_and_others_go_on(thread_of_each_kind: IoThread) -> None:
    counted: list[int] = []
    errors = (ValueError("one"), SystemExit(1), KeyboardInterrupt())

    def fail(error: BaseException) -> None:
        off_thread(int)
        raise error

    def count() -> None:
        for number in operations(thread_of_each_kind, 10):
            off_thread(int)
            counted.append(number)

    failing = [thread_of_each_kind.start(partial(fail, error)) for error in errors]
    counting = thread_of_each_kind.start(count)
    assert [error_of(result) for result in failing] == list(errors)
    assert error_of(counting) is None
    assert counted == list(range(10))


def test_call_that_fails_raises_in_its_lane(thread: IoThread) -> None:
    def work(text: str) -> None:
        with pytest.raises(ValueError, match=text):
            off_thread(int, text)
        assert off_thread(int, "7") == 7

    run_lanes([partial(work, text) for text in ("a", "b", "c")], thread)


def test_calls_that_block_leave_the_thread_to_others(thread: IoThread) -> None:
    may_end = threading.Event()

    def blocked() -> None:
        off_thread(may_end.wait)

    run_lanes([blocked, blocked, may_end.set], thread)


def test_stopped_lanes_leave_their_wait_lists(thread_of_each_kind: IoThread) -> None:
    stopping, changed = threading.Event(), WaitList()
    begun = threading.Semaphore(0)

    def work() -> None:
        begun.release()
        changed.wait_unless(stopping)

    results = [thread_of_each_kind.start(work) for _ in range(LANES)]
    for _ in results:
        begun.acquire()
    stopping.set()
    thread_of_each_kind.resume_all()
    assert {type(error_of(result)) for result in results} == {CutOffError}


def test_join_waits_for_works_that_have_not_begun(thread_of_each_kind: IoThread) -> None:
    def work(ran: list[int], number: int) -> None:
        off_thread(int)
        ran.append(number)

    for _ in range(3):  # it can be started again
        ran: list[int] = []
        results = [thread_of_each_kind.start(partial(work, ran, number)) for number in range(LANES)]
        thread_of_each_kind.join()
        assert all(result.done() for result in results)
        assert sorted(ran) == list(range(LANES))


@pytest.mark.slow
def test_wakeups_by_other_threads_are_not_lost(thread_of_each_kind: IoThread) -> None:
    """Each work is started, and each call ends, while the thread is about to wait."""

    def work(calls: int) -> None:
        for _ in range(calls):
            off_thread(int)

    for number in range(500):
        results = [thread_of_each_kind.start(partial(work, number % count)) for count in (3, 2)]
        assert [error_of(result) for result in results] == [None, None]


def test_wait_outside_of_an_io_thread_is_refused() -> None:
    with pytest.raises(RuntimeError, match="only a lane of an IO thread"):
        WaitList().wait()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_bug_in_the_thread_ends_all_works(
    thread: IoThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    later: list[Future[None]] = []

    def breaking() -> None:
        monkeypatch.setattr(thread.transfers, "look", lambda: 1 / 0)
        later.append(thread.start(int))  # it is not begun any more

    waiting = thread.start(WaitList().wait)
    breaks = thread.start(breaking)
    assert isinstance(error_of(waiting), ZeroDivisionError)
    assert error_of(breaks) is None
    later.append(thread.start(int))
    assert {type(error_of(result)) for result in later} == {ZeroDivisionError}
