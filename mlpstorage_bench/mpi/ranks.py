"""The part of the ranks' communication that a benchmark type uses; `Comm` has all of it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from mlpstorage_bench.measure.clock_offset import ClockOffset

T = TypeVar("T")


class Notice(enum.IntEnum):
    """A message to the other ranks that does not wait for them."""

    FAILED = 1
    """This rank failed; its report will follow."""
    CLOSING = 2
    """This rank's measurement window closes early, so that all windows should."""


class Ranks(Protocol):
    """Own rank among all, with operations that all ranks call together."""

    @property
    def rank(self) -> int:
        """Own rank, from 0."""
        ...

    @property
    def size(self) -> int:
        """Number of ranks."""
        ...

    def barrier(self) -> None:
        """Wait until every rank is here."""
        ...

    def bcast(self, value: T) -> T:
        """Return rank 0's value on every rank."""
        ...

    def gather(self, value: T) -> list[T] | None:
        """Return every rank's value, in rank order, on rank 0; None elsewhere."""
        ...

    def merge(self, value: T, add: Callable[[T, T], T]) -> T | None:
        """Return the sum of every rank's value on rank 0; None elsewhere.

        `add` may change its first argument, and has to be associative and commutative.
        """
        ...

    def clock_offset(self, now_ns: Callable[[], int], clock: int = 0) -> ClockOffset:
        """Return how far this rank's clock is ahead of rank 0's; every rank calls it together.

        `clock` is the clock's number: ranks with the same one, but 0, read the same clock.
        """
        ...


class TrialSignals(Protocol):
    """Interrupts and notices that can arrive while a trial runs; nothing here waits for a rank."""

    def defer_interrupts(self) -> AbstractContextManager[None]:
        """Defer Ctrl-C inside, except in collective operations and in `raise_deferred`.

        At any other moment this thread may hold a lock that other threads of the trial need.
        """
        ...

    def raise_deferred(self) -> None:
        """Raise KeyboardInterrupt if one was deferred."""
        ...

    def announce(self, notice: Notice) -> None:
        """Send a notice to the other ranks, without waiting for them."""
        ...

    def poll(self, notice: Notice) -> list[int]:
        """Return the ranks that announced this since the last collective operation."""
        ...

    def post(self, figures: bytes) -> None:
        """Send figures of this rank to rank 0, without waiting for it."""
        ...

    def posted(self) -> Mapping[int, bytes]:
        """Return each rank's latest figures since the last collective operation, on rank 0."""
        ...


class TrialRanks(Ranks, TrialSignals, Protocol):
    """The ranks as a trial uses them: collective operations and signals."""
