"""Queues of requests that wait for a lane: one per user at a time, by priority."""

from __future__ import annotations

import heapq
import itertools
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mlpstorage_bench.kvcache.workload.request_source import Arrival
from mlpstorage_bench.kvcache.workload.requests import Request, UserStream
from mlpstorage_bench.measure.window import Window
from mlpstorage_bench.storage.lane_waits import WaitList
from mlpstorage_bench.units import NS_PER_S

MOST_ADMITTED = 256
"""Requests generated at once while workers wait for the scheduler; each takes some 10 µs."""


class DueRequest(NamedTuple):
    """A request that is due."""

    request: Request
    due_ns: int
    """Time of the request."""
    number: int
    """Position in the order of arrival."""


class RequestScheduler(ABC):
    """Hands due requests to workers: by priority, then by the time they became due.

    A turn never starts before the earlier turns of its user have ended. Workers are lanes, of which
    one runs at a time; the thread that supervises them asks only `is_exhausted` meanwhile.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._clock = window.clock
        self._changed = WaitList()
        self._stopped = False
        self._has_no_more = False
        """Whether a worker has found that there will be no request any more."""
        self._due: list[tuple[int, int, int, int]] = []
        """Heap of (-priority, due time, number, user)."""
        self._numbers = itertools.count()
        self._next_due: dict[int, DueRequest] = {}
        """Next request of each user."""
        self._in_service = 0
        self.last_end_ns = 0
        """Completion of the last answer so far."""
        self.arrived = 0
        """Requests that became due inside the window."""

    def open(self, at_ns: int | None = None) -> None:
        """Start the users, before the workers: now, or as of an earlier moment."""
        self._start(self._clock.now_ns() if at_ns is None else at_ns)

    def take(self) -> DueRequest | None:
        """Wait for a due request and return it; None after `stop`, or if there will be none."""
        while not self._stopped:
            self._admit(self._clock.now_ns())
            if self._due:
                *_, user = heapq.heappop(self._due)
                self._in_service += 1
                return self._next_due.pop(user)
            next_ns = self._next_due_ns()
            if next_ns is None and not self._in_service:
                self._has_no_more = True
                return None
            self._clock.wait(self._changed, next_ns)
        return None

    def finished(self, due: DueRequest, ended_ns: int) -> None:
        """Record that a request is answered at `ended_ns`, which may be in the future."""
        self._in_service -= 1
        self.last_end_ns = max(self.last_end_ns, ended_ns)
        self._after(due, ended_ns)
        self._changed.notify_all()

    def stop(self) -> None:
        """Give workers no more requests; those that wait have to be resumed."""
        self._stopped = True

    @property
    def is_exhausted(self) -> bool:
        """Whether all requests are answered, and no further request will arrive."""
        return self._has_no_more and self._clock.now_ns() >= self.last_end_ns

    def next_moment_ns(self) -> int | None:
        """Return when the next request can be taken, now or later; None if there will be none."""
        now_ns = self._clock.now_ns()
        self._admit(now_ns)
        return now_ns if self._due else self._next_due_ns()

    def waits_ns(self) -> list[int]:
        """Return the waiting time, at the window's close, of each request that no worker took."""
        closed_ns = self._window.closes_ns
        while not self._admit(closed_ns):
            pass
        return [closed_ns - due_ns for due_ns in self._waiting() if due_ns < closed_ns]

    def _count(self, due_ns: int) -> None:
        self.arrived += self._window.contains(due_ns)

    def _push(self, due: DueRequest) -> None:
        request = due.request
        self._next_due[request.user] = due
        heapq.heappush(self._due, (-request.priority, due.due_ns, due.number, request.user))

    def _waiting(self) -> Iterator[int]:
        """Yield the due times of requests that no worker has taken."""
        for _, due_ns, *_ in self._due:
            yield due_ns

    @abstractmethod
    def _start(self, now_ns: int) -> None:
        """Set the moments at which requests arrive, counted from a start."""

    @abstractmethod
    def _admit(self, now_ns: int) -> bool:
        """Push requests that have become due, up to a limit; return whether that was all."""

    @abstractmethod
    def _next_due_ns(self) -> int | None:
        """Return the due time of the next request that waits for no other; None without one."""

    @abstractmethod
    def _after(self, due: DueRequest, ended_ns: int) -> None:
        """Schedule the next request of a user whose request has ended."""


class ClosedLoopScheduler(RequestScheduler):
    """A user sends its next request after the answer and its think time."""

    def __init__(
        self, streams: Sequence[UserStream], think_time_scale: float, window: Window
    ) -> None:
        super().__init__(window)
        self._streams = {stream.user.index: stream for stream in streams}
        self._think_time_scale = think_time_scale
        self._thinking: list[tuple[int, int]] = []
        """Heap of (due time, user)."""

    def _start(self, now_ns: int) -> None:
        for stream in self._streams.values():
            start_s = stream.start_s * self._think_time_scale
            self._enqueue(stream, now_ns + round(start_s * NS_PER_S))

    def _admit(self, now_ns: int) -> bool:
        while self._thinking and self._thinking[0][0] <= now_ns:
            due_ns, user = heapq.heappop(self._thinking)
            self._count(due_ns)
            self._push(self._next_due[user])
        return True

    def _next_due_ns(self) -> int | None:
        return self._thinking[0][0] if self._thinking else None

    def _after(self, due: DueRequest, ended_ns: int) -> None:
        think_ns = round(due.request.think_s * self._think_time_scale * NS_PER_S)
        self._enqueue(self._streams[due.request.user], ended_ns + think_ns)

    def _enqueue(self, stream: UserStream, due_ns: int) -> None:
        request = next(stream.requests, None)
        if request is not None:
            self._next_due[request.user] = DueRequest(request, due_ns, next(self._numbers))
            heapq.heappush(self._thinking, (due_ns, request.user))


class OpenLoopScheduler(RequestScheduler):
    """Requests arrive at absolute times, so that slow answers do not delay them."""

    def __init__(self, arrivals: Iterator[Arrival], window: Window) -> None:
        super().__init__(window)
        self._arrivals = arrivals
        self._started_ns = 0
        self._coming: DueRequest | None = None
        self._behind: dict[int, deque[DueRequest]] = {}
        """Later requests of each user that has a request due or in service."""
        self._answered: list[tuple[int, int]] = []
        """Heap of (completion of the answer, user)."""

    def _start(self, now_ns: int) -> None:
        self._started_ns = now_ns
        self._draw()

    def _draw(self) -> None:
        arrival = next(self._arrivals, None)
        if arrival is None:
            self._coming = None
        else:
            due_ns = self._started_ns + round(arrival.due_s * NS_PER_S)
            self._coming = DueRequest(arrival.request, due_ns, next(self._numbers))

    def _admit(self, now_ns: int) -> bool:
        for _ in range(MOST_ADMITTED):
            if self._coming is None or self._coming.due_ns > now_ns:
                break
            self._count(self._coming.due_ns)
            user = self._coming.request.user
            if user in self._behind:
                self._behind[user].append(self._coming)
            else:
                self._behind[user] = deque()
                self._push(self._coming)
            self._draw()
        while self._answered and self._answered[0][0] <= now_ns:
            _, user = heapq.heappop(self._answered)
            if self._behind[user]:
                self._push(self._behind[user].popleft())
            else:
                del self._behind[user]
        return self._coming is None or self._coming.due_ns > now_ns

    def _next_due_ns(self) -> int | None:
        moments = [] if self._coming is None else [self._coming.due_ns]
        return min([*moments, *(ended_ns for ended_ns, _ in self._answered[:1])], default=None)

    def _after(self, due: DueRequest, ended_ns: int) -> None:
        heapq.heappush(self._answered, (ended_ns, due.request.user))

    def _waiting(self) -> Iterator[int]:
        yield from super()._waiting()
        for behind in self._behind.values():
            for due in behind:
                yield due.due_ns
