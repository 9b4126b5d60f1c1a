"""Uses of the lanes' time: work, waits within the host, requests, and storage.

The kernel tells how long the threads of the lanes were on a processor and how long they waited for
one. The threads themselves add up how long lanes could have gone on while another lane ran, and the
scheduler how long lanes waited for requests. Waits for Python's lock are sampled (`wait_sampler`).
What is left of the lanes' time, they waited for storage: in transfers, syncs, or calls that open,
create and remove files, or for another lane that does so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from mlpstorage_bench.measure import threads
from mlpstorage_bench.measure.wait_sampler import WaitShares
from mlpstorage_bench.units import NS_PER_S


@dataclass(frozen=True)
class LaneTime:
    """Seconds of all lanes together, in one window."""

    total_s: float
    """Lanes x length of the window."""
    cpu_s: float
    """On a processor: Python, content, and the kernel's part of calls, copies included."""
    queued_s: float
    """Ready to run, but waiting for a processor."""
    lock_s: float
    """Waiting for Python's lock, by samples."""
    request_s: float
    """Waiting for a request."""
    late_s: float = 0.0
    """Part of `queued_s` and `lock_s` inside transfers and syncs, whose ends are seen later by it.
    """
    thread_s: float = 0.0
    """Ready to run, while another lane had the thread."""
    late_samples: int = 0
    """Samples of `late_s` for which it is known how many spans the wait makes longer."""
    late_spans: int = 0
    """Sum of these numbers of spans over the samples."""

    @property
    def harness_s(self) -> float:
        """Work, and waits for what the harness runs on.

        Samples may add up to more than the time that there was.
        """
        seconds = self.cpu_s + self.queued_s + self.lock_s + self.thread_s
        return min(seconds, self.total_s - self.request_s)

    def late_spans_s(self, most: float) -> float:
        """Return by how much `late_s` makes the spans of all chunks and syncs longer, at most.

        `most` is the number of spans that a wait can make longer. Few samples make the result
        larger, never smaller: one more counts, with the largest number.
        """
        return self.late_s * min(most, (self.late_spans + most) / (self.late_samples + 1))

    @property
    def storage_s(self) -> float:
        """Waiting for storage: what is left."""
        return max(0.0, self.total_s - self.harness_s - self.request_s)

    @classmethod
    def sum(cls, parts: Iterable[LaneTime | None]) -> LaneTime | None:
        """Return the sum over ranks; None if it is unknown for one."""
        known = tuple(parts)
        if not known or any(part is None for part in known):
            return None
        names = [part.name for part in fields(cls)]
        return cls(*(sum(getattr(part, name) for part in known) for name in names))


@dataclass(frozen=True)
class ThreadTimes:
    """Times of threads up to one moment, by thread id."""

    moment_ns: int
    cpu_ns: Mapping[int, int]
    queued_ns: Mapping[int, int]
    """Without the threads for which the kernel does not tell."""
    lanes_ready_ns: int = 0
    """Time in which lanes were ready to run and other lanes had their threads."""
    delayed: tuple[int, int] = (0, 0)
    """Samples of waits in transfers, and the sum of the spans that each makes longer."""

    @classmethod
    def of(
        cls,
        thread_ids: Iterable[int],
        moment_ns: int,
        lanes_ready_ns: int = 0,
        delayed: tuple[int, int] = (0, 0),
    ) -> ThreadTimes:
        """Read the times of threads now, at `moment_ns`."""
        ids = tuple(thread_ids)
        queued = {thread_id: threads.queued_ns(thread_id) for thread_id in ids}
        return cls(
            moment_ns,
            {thread_id: threads.cpu_ns(thread_id) for thread_id in ids},
            {thread_id: time_ns for thread_id, time_ns in queued.items() if time_ns is not None},
            lanes_ready_ns=lanes_ready_ns,
            delayed=delayed,
        )

    def since(
        self, earlier: ThreadTimes, lanes: int, request_ns: int, waits: WaitShares | None
    ) -> LaneTime | None:
        """Return the lanes' time between two readings; None if the kernel does not tell.

        Threads that an earlier reading does not have started after it. `waits` are samples of what
        the threads waited for in between.
        """
        if waits is None or self.queued_ns.keys() != self.cpu_ns.keys():
            return None
        length_s = (self.moment_ns - earlier.moment_ns) / NS_PER_S
        total_s = lanes * length_s
        queued_s = _increase(self.queued_ns, earlier.queued_ns) / NS_PER_S
        lock_s = waits.lock * len(self.cpu_ns) * length_s
        return LaneTime(
            total_s=total_s,
            cpu_s=_increase(self.cpu_ns, earlier.cpu_ns) / NS_PER_S,
            queued_s=queued_s,
            lock_s=lock_s,
            request_s=min(request_ns / NS_PER_S, total_s),
            late_s=lock_s * waits.lock_in_transfers + queued_s * waits.queued_in_transfers,
            thread_s=(self.lanes_ready_ns - earlier.lanes_ready_ns) / NS_PER_S,
            late_samples=self.delayed[0] - earlier.delayed[0],
            late_spans=self.delayed[1] - earlier.delayed[1],
        )


def _increase(later: Mapping[int, int], earlier: Mapping[int, int]) -> int:
    return sum(time_ns - earlier.get(thread_id, 0) for thread_id, time_ns in later.items())
