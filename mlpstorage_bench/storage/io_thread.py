"""IO threads: each runs many lanes, one at a time, over one kernel queue.

A lane's work is plain sequential code in a greenlet. It gives up the thread only where it waits:
for a transfer, for a call on a helper, or in a `WaitList`. Between two waits no other lane runs,
so that what lanes share needs no lock. With several IO threads in a rank, a turn is passed between
them: the thread whose lane runs has it, and gives it back for calls that hold no Python lock.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, TypeVar

from greenlet import getcurrent, greenlet

from mlpstorage_bench.storage.kernel_queue import FileQueue
from mlpstorage_bench.storage.submission import Call
from mlpstorage_bench.storage.transfers import OpenQueue, TransferQueue
from mlpstorage_bench.units import NS_PER_S

_GIVES_WAY_NS = 5_000_000
"""A thread that has not waited for so long lets other threads of Python run. They would not get
Python's lock for seconds: the thread releases it often, but for less time than they take to wake.
"""
_WAY_S = 20e-6
_LOOKS_NS = 20_000
"""Lanes run for this long between two looks for ended transfers, which cost 1 us."""

T = TypeVar("T")
P = ParamSpec("P")


class RunningLane(greenlet):
    """A lane's work in progress on an IO thread."""

    def __init__(self, thread: IoThread, work: Callable[[], object], result: Future[None]) -> None:
        super().__init__(self._run, thread.hub)
        self.thread = thread
        self.ready_since_ns = 0
        self.is_in_list = False
        """Whether it waits in a wait list."""
        self.until_ns: int | None = None
        """Moment at which its wait in a list ends at the latest; None: not by itself."""
        self.timers: set[int] = set()
        """Moments for which its thread has a timer for it."""
        self._work = work
        self.result = result

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            self.result.set_exception(error)
        else:
            self.result.set_result(None)


class IoThread:
    """A thread that runs lanes over a kernel queue.

    Until it is started, and after it has ended, a lane may be used by any one thread, which then
    waits for the lane's transfers itself.
    """

    def __init__(
        self,
        open_queue: OpenQueue | None,
        slots: int,
        *,
        memory: Sequence[memoryview] = (),
        helpers: int = 1,
        name: str = "io",
        turn: threading.Lock | None = None,
    ) -> None:
        """Open no queue and start no thread yet.

        `slots` is the largest number of transfers in flight, and `helpers` that of blocking calls,
        by helpers or by the queue.
        `memory` has the lanes' buffers, which the kernel maps once if the queue can have that.
        `turn` is a lock that all IO threads share whose lanes share objects.
        """
        self.transfers = TransferQueue(open_queue, slots, memory, calls=helpers)
        """Transfers of all its lanes."""
        self.hub: greenlet | None = None
        """Its own greenlet, to which lanes switch when they wait; None unless the thread runs."""
        self.running: RunningLane
        """The lane that runs, or ran last."""
        self.ready_wait_ns = 0
        """Time of all lanes in which they could go on and another lane ran."""
        self.threads: dict[int, int] = {}
        """The thread and its helpers: the kernel's id of each, and Python's."""
        self.native_id = 0
        """The kernel's id of the thread; 0 before it was started."""
        self._name = name
        self._turn = turn
        self._works: deque[tuple[Callable[[], object], Future[None]]] = deque()
        self._ready: deque[RunningLane] = deque()
        self._waiting: set[RunningLane] = set()
        """Lanes in wait lists."""
        self._timers: list[tuple[int, int, RunningLane]] = []
        """Heap of (time, number, lane). A lane may wait for something else by then."""
        self._numbers = itertools.count()
        self._lanes: set[RunningLane] = set()
        """Lanes with work."""
        self._error: BaseException | None = None
        """Why the thread has ended in the midst of its lanes; None as it should be."""
        self._is_ending = False
        self._is_resuming_all = False
        self._woken = threading.Event()
        """Ends the wait where there is no kernel queue."""
        self.has_helpers = helpers > 1
        """Whether blocking calls go to helpers; a lane that is alone makes them itself."""
        self._most_helpers = helpers
        self._waited_ns = 0
        """When the thread last waited."""
        self._is_first_operation = True
        """Whether the running lane has begun no operation since it was resumed."""
        self._helpers: ThreadPoolExecutor | None = None
        self._thread: threading.Thread | None = None

    def start(self, work: Callable[[], object]) -> Future[None]:
        """Run one lane's work on the thread, beside that of other lanes; any thread may call."""
        result: Future[None] = Future()
        result.set_running_or_notify_cancel()
        self._works.append((work, result))
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=self._name)
            self._thread.start()
        if self._error is not None:
            self._refuse_works(self._error)
        self.wake()
        return result

    def resume_all(self) -> None:
        """Resume all lanes in wait lists, so that they see that they are to stop; from anywhere."""
        self._is_resuming_all = True
        self.wake()

    def join(self) -> None:
        """Wait until all lanes' works have ended, and end the thread and its helpers."""
        if self._thread is not None:
            self._is_ending = True
            self.wake()
            self._thread.join()
            self._thread, self._is_ending = None, False

    def close(self) -> None:
        """Join the thread and close its queue."""
        self.join()
        self.transfers.close()

    def wake(self) -> None:
        """End the thread's wait; any thread may call this."""
        self._woken.set()
        self.transfers.wake()

    # What follows is called by lanes, on their own thread or another one with the turn.

    def suspend(self) -> None:
        """Let other lanes run until this one is resumed."""
        assert self.hub is not None
        self.hub.switch()

    def begin_operation(self) -> None:
        """Let other lanes run if this one has had a whole operation without a wait."""
        if self.hub is None:
            return
        if self._is_first_operation:
            self._is_first_operation = False
            return
        self.resume(self.running)
        self.suspend()
        self._is_first_operation = False

    def resume(self, lane: RunningLane) -> None:
        """Let a suspended lane of this thread run, after those that are ready before it."""
        lane.ready_since_ns = time.perf_counter_ns()
        self._ready.append(lane)

    def resume_at(self, lane: RunningLane, now_ns: int) -> None:
        """Like `resume`, by a caller that knows the time."""
        lane.ready_since_ns = now_ns
        self._ready.append(lane)

    def wait_in_list(self, lane: RunningLane, until_ns: int | None) -> None:
        """Suspend a lane that is in a wait list, until it is resumed or the time is reached."""
        lane.is_in_list = True
        self._waiting.add(lane)
        lane.until_ns = until_ns
        if until_ns is not None and until_ns not in lane.timers:
            lane.timers.add(until_ns)  # lanes often wait for one moment in many parts
            heapq.heappush(self._timers, (until_ns, next(self._numbers), lane))
        self.suspend()

    def resume_from_list(self, lane: RunningLane) -> None:
        """Resume a lane that waits in a list; does nothing if it was resumed already."""
        if not lane.is_in_list:
            return
        lane.is_in_list = False
        self._waiting.discard(lane)
        self.resume(lane)
        if self._turn is not None:  # the caller may be a lane of another thread
            self.wake()

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that may block on a helper, while other lanes run; return its result."""
        lane = self.running
        if self._helpers is None:
            self._helpers = ThreadPoolExecutor(
                self._most_helpers, f"{self._name}-helper", initializer=self._note_thread
            )

        def resume(_: Future[T]) -> None:
            self.resume(lane)
            self.wake()

        result = self._helpers.submit(function, *args, **kwargs)
        result.add_done_callback(resume)
        self.suspend()
        return result.result()

    def make(self, prepare: Callable[[FileQueue, int], None]) -> Call:
        """Have the queue make a call, while other lanes run; return the ended call.

        The queue is one that makes calls. Raises OSError.
        """
        end = _EndOfCall(self)
        call = Call(end, prepare)
        self.transfers.add_call(call)
        end.wait()
        if call.error is not None:
            raise call.error
        return call

    def aside(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that mostly needs no lock of Python; other threads have the turn meanwhile."""
        if self._turn is None or self.hub is None:
            return function(*args, **kwargs)
        self._turn.release()
        try:
            return function(*args, **kwargs)
        finally:
            self._turn.acquire()

    # What follows runs on the thread itself, between lanes.

    def _note_thread(self) -> None:
        self.threads[threading.get_native_id()] = threading.get_ident()

    def _refuse_works(self, error: BaseException) -> None:
        """End works that have not begun, as nothing runs them any more; any thread may call."""
        with suppress(IndexError):
            while True:
                self._works.popleft()[1].set_exception(error)

    def _serve(self) -> None:
        self._note_thread()
        self.native_id = threading.get_native_id()
        self.hub = getcurrent()
        if self._turn is not None:
            self._turn.acquire()
        try:
            while True:
                self._run_ready()
                self._resume_due()
                if self._ready or self._works or self._is_resuming_all:
                    continue
                if self._is_ending and not self._lanes:
                    break
                self.aside(self._wait)
        except BaseException as error:
            self._error = error
            for lane in self._lanes:
                lane.result.set_exception(error)
            self._refuse_works(error)
            raise
        finally:
            if self._turn is not None:
                self._turn.release()
            self.hub = None
            if self._helpers is not None:
                self._helpers.shutdown()
                self._helpers = None

    def _run_ready(self) -> None:
        """Run each lane that is ready, until it waits."""
        ready, transfers = self._ready, self.transfers
        while self._works:
            work, result = self._works.popleft()
            lane = RunningLane(self, work, result)
            self._lanes.add(lane)
            self.resume(lane)
        now_ns = time.perf_counter_ns()
        for _ in range(len(ready)):
            lane = ready.popleft()
            self.ready_wait_ns += now_ns - lane.ready_since_ns
            self._is_first_operation = True
            self.running = lane
            lane.switch()
            if lane.dead:
                self._lanes.discard(lane)
            now_ns = time.perf_counter_ns()
            if now_ns - transfers.looked_ns > _LOOKS_NS:
                now_ns = transfers.look()
        transfers.submit()
        if ready and now_ns - self._waited_ns > _GIVES_WAY_NS:
            self.aside(time.sleep, _WAY_S)
            self._waited_ns = time.perf_counter_ns()

    def _resume_due(self) -> None:
        """Resume lanes whose time has come, and all lanes if they are to stop."""
        if self._is_resuming_all:
            self._is_resuming_all = False
            for lane in list(self._waiting):
                self.resume_from_list(lane)
        if self._timers:
            now_ns = time.perf_counter_ns()
            while self._timers and self._timers[0][0] <= now_ns:
                moment_ns, _, lane = heapq.heappop(self._timers)
                lane.timers.remove(moment_ns)
                if lane.until_ns is not None and lane.until_ns <= moment_ns:
                    self.resume_from_list(lane)

    def _wait(self) -> None:
        """Wait for a transfer, the next time, or another thread."""
        timeout_ns = None
        if self._timers:
            timeout_ns = max(0, self._timers[0][0] - time.perf_counter_ns())
        if self.transfers.has_queue:
            self.transfers.wait(timeout_ns)
        else:
            self._woken.wait(None if timeout_ns is None else timeout_ns / NS_PER_S)
        self._woken.clear()
        self._waited_ns = time.perf_counter_ns()


class _EndOfCall:
    """Lets a lane wait until its call has ended."""

    def __init__(self, thread: IoThread) -> None:
        self._thread = thread
        self._has_ended = False
        self._waiting: RunningLane | None = None

    def wait(self) -> None:
        if not self._has_ended:
            self._waiting = self._thread.running
            self._thread.suspend()

    def ended(self, _: Call) -> None:
        self._has_ended = True
        if self._waiting is not None:
            self._thread.resume_at(self._waiting, self._thread.transfers.looked_ns)
