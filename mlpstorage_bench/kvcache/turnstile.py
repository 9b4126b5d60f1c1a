"""Where requests wait for a lane: one per user at a time, the most urgent first."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from mlpstorage_bench.kvcache.workload.requests import Request, UserStream
from mlpstorage_bench.measure.window import NS_PER_S


@dataclass(frozen=True)
class Ticket:
    """A request that is due."""

    stream: UserStream
    request: Request
    due_ns: int
    """When the user asked (perf_counter)."""


class Turnstile:
    """Hands due requests to workers: by priority, then by the time they became due.

    A user's next request becomes due after its last one has ended and it has thought; a turn never
    starts before the earlier turns of its conversation are in the cache.
    """

    def __init__(self, streams: Sequence[UserStream], think_time_scale: float) -> None:
        self._think_time_scale = think_time_scale
        self._changed = threading.Condition()
        self._stopped = False
        self._thinking: list[tuple[int, int]] = []
        """Heap of (due time, user)."""
        self._due: list[tuple[int, int, int]] = []
        """Heap of (-priority, due time, user)."""
        self._tickets: dict[int, Ticket] = {}
        self._streams = streams

    def open(self) -> None:
        """Let the users begin, each after the time that it waits before its first request."""
        now = time.perf_counter_ns()
        with self._changed:
            for stream in self._streams:
                start_s = stream.start_s * self._think_time_scale
                self._enqueue(stream, now + round(start_s * NS_PER_S))
            self._changed.notify_all()

    def take(self) -> Ticket | None:
        """Wait for a request that is due and return it; None once stopped."""
        with self._changed:
            while not self._stopped:
                now = time.perf_counter_ns()
                self._promote(now)
                if self._due:
                    _, _, user = heapq.heappop(self._due)
                    return self._tickets.pop(user)
                next_due_ns = self._thinking[0][0] if self._thinking else None
                self._changed.wait(None if next_due_ns is None else (next_due_ns - now) / NS_PER_S)
            return None

    def finished(self, ticket: Ticket, ended_ns: int) -> None:
        """Let the user think, from the moment its request ended, and then ask again."""
        think_ns = round(ticket.request.think_s * self._think_time_scale * NS_PER_S)
        with self._changed:
            self._enqueue(ticket.stream, ended_ns + think_ns)
            self._changed.notify()

    def stop(self) -> None:
        """Let every worker go."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _enqueue(self, stream: UserStream, due_ns: int) -> None:
        user = stream.user.index
        self._tickets[user] = Ticket(stream, next(stream.requests), due_ns)
        heapq.heappush(self._thinking, (due_ns, user))

    def _promote(self, now: int) -> None:
        while self._thinking and self._thinking[0][0] <= now:
            due_ns, user = heapq.heappop(self._thinking)
            priority = self._tickets[user].request.priority
            heapq.heappush(self._due, (-priority, due_ns, user))
