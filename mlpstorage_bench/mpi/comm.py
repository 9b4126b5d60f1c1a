"""Communicator interface of a session, and its implementation for one process without MPI."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NoReturn, Protocol, TypeVar

from mlpstorage_bench.errors import PeerError
from mlpstorage_bench.measure.clock_offset import ClockOffset
from mlpstorage_bench.mpi.interrupts import PROCESS_SIGNALS, Interrupts
from mlpstorage_bench.mpi.ranks import Notice, TrialRanks
from mlpstorage_bench.process.stderr import say

if TYPE_CHECKING:
    from mpi4py import MPI

T = TypeVar("T")
Reduction = Literal["sum", "min", "max"]


class SessionPhase(enum.IntEnum):
    """Phase of a session in which a rank enters a checked collective."""

    IN_TEST = 0
    REPORT = 1
    FINISH = 2


@dataclass(frozen=True)
class SyncPoint:
    """Position of one rank in the session: phase and label of its checked collective."""

    rank: int
    phase: SessionPhase
    label: str


class RanksDivergedError(PeerError):
    """Ranks entered a collective at different sync points."""

    def __init__(self, here: SyncPoint, sync_points: list[SyncPoint]) -> None:
        self.sync_points = sync_points
        elsewhere = [point for point in sync_points if point.label != here.label]
        where = "; ".join(f"rank {point.rank} is at {point.label!r}" for point in elsewhere[:8])
        super().__init__(f"rank {here.rank} waits at {here.label!r}, but {where}")


class Comm(TrialRanks, Protocol):
    """The ranks of this session; one interface for one process and for many."""

    @property
    def waits_at(self) -> str | None:
        """Label of the collective in which this rank waits now; None when it does not wait."""
        ...

    @property
    def library(self) -> str | None:
        """Name and version of the MPI library; None without MPI."""
        ...

    @property
    def mpi4py(self) -> MPI.Intracomm | None:
        """A communicator of mpi4py over the same ranks, for free use; None without MPI."""
        ...

    def bcast(self, value: T, root: int = 0) -> T:
        """Return root's value on every rank."""
        ...

    def gather(self, value: T, root: int = 0) -> list[T] | None:
        """Return every rank's value, in rank order, on root; None elsewhere."""
        ...

    def allgather(self, value: T) -> list[T]:
        """Return every rank's value, in rank order, on every rank."""
        ...

    def allreduce(self, value: float, op: Reduction = "sum") -> float:
        """Return the sum, least or greatest of every rank's value, on every rank."""
        ...

    def abort(self, code: int, message: str) -> NoReturn:
        """End every rank at once; the message goes to standard error first."""
        ...

    def handle_stop_signals(self) -> AbstractContextManager[None]:
        """Treat every stop signal like Ctrl-C inside the context."""
        ...

    def ignore_interrupts(self) -> None:
        """Ignore stop signals from now on: this rank ends its session."""
        ...

    def agree(self, label: str, value: T, *, phase: SessionPhase, grace_s: float | None) -> list[T]:
        """Return every rank's value once all ranks are at `label`.

        Where every rank's value is None, only the sync points are exchanged. With `grace_s` (a
        failure is known), a rank that is missing after so many seconds is a TimeoutError. A rank
        that is in a later phase of its session is a RanksDivergedError.
        """
        ...


class SoloComm:
    """One process, no MPI."""

    rank = 0
    size = 1
    library = None
    mpi4py = None
    waits_at = None

    def __init__(self) -> None:
        self._interrupts = Interrupts()
        self._posted: dict[int, bytes] = {}

    def post(self, figures: bytes) -> None:
        """Keep the figures of this rank."""
        self._posted[0] = figures

    def posted(self) -> Mapping[int, bytes]:
        """Return the latest figures."""
        return self._posted

    def barrier(self) -> None:
        """Return at once."""

    def bcast(self, value: T, root: int = 0) -> T:
        """Return the value."""
        check_root(root, self.size)
        return value

    def gather(self, value: T, root: int = 0) -> list[T] | None:
        """Return the value alone in a list."""
        check_root(root, self.size)
        return [value]

    def allgather(self, value: T) -> list[T]:
        """Return the value alone in a list."""
        return [value]

    def allreduce(self, value: float, op: Reduction = "sum") -> float:
        """Return the value."""
        check_reduction(op)
        return value

    def merge(self, value: T, add: Callable[[T, T], T]) -> T | None:
        """Return the value."""
        del add
        return value

    def clock_offset(self, now_ns: Callable[[], int], clock: int = 0) -> ClockOffset:
        """Return that there is none."""
        del clock
        return ClockOffset.none(now_ns())

    def abort(self, code: int, message: str) -> NoReturn:
        """Write the message to standard error and exit."""
        say(message)
        raise SystemExit(code)

    def handle_stop_signals(self) -> AbstractContextManager[None]:
        """Treat SIGTERM like Ctrl-C inside, so that a terminated run keeps its results."""
        return self._interrupts.handling(PROCESS_SIGNALS)

    def defer_interrupts(self) -> AbstractContextManager[None]:
        """Defer interrupts inside, except in `raise_deferred`."""
        return self._interrupts.deferring()

    def raise_deferred(self) -> None:
        """Raise KeyboardInterrupt if one was deferred."""
        self._interrupts.raise_pending()

    def ignore_interrupts(self) -> None:
        """Do nothing: no other rank waits, and Ctrl-C still has to end the process."""

    def announce(self, notice: Notice) -> None:
        """Do nothing: there is no other rank."""

    def poll(self, notice: Notice) -> list[int]:  # noqa: ARG002 - the interface of Comm
        """Return no rank: there is no other rank."""
        return []

    def agree(
        self,
        label: str,  # noqa: ARG002 - the interface of Comm
        value: T,
        *,
        phase: SessionPhase,  # noqa: ARG002
        grace_s: float | None,  # noqa: ARG002
    ) -> list[T]:
        """Return the value alone in a list."""
        return [value]


def check_root(root: int, size: int) -> None:
    """Raise ValueError unless `root` is a rank."""
    if not 0 <= root < size:
        raise ValueError(f"root: got {root}; accepted: a rank from 0 to {size - 1}")


def check_reduction(op: str) -> None:
    """Raise ValueError unless `op` is a reduction."""
    if op not in ("sum", "min", "max"):
        raise ValueError(f"op: got {op!r}; accepted: 'sum', 'min', 'max'")
