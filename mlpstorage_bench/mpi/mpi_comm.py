"""Communicator of the ranks of an MPI job, with checked collectives.

Every operation between ranks is a *checked collective*: the ranks first exchange their sync points
(phase and label), before any data is sent. Ranks at the same sync point run the operation. Ranks
at different sync points (one failed and is at its report, one ended its session) get a PeerError
instead of waiting forever. So a failure on one rank reaches the others at their next collective,
without extra messages, epochs or time limits.
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from mlpstorage_bench.launch.compatibility import library_title
from mlpstorage_bench.launch.status_channel import StatusChannel
from mlpstorage_bench.measure.clock_offset import ClockOffset
from mlpstorage_bench.mpi import hydra_guard, point_to_point
from mlpstorage_bench.mpi.comm import (
    RanksDivergedError,
    Reduction,
    SessionPhase,
    SyncPoint,
    check_reduction,
    check_root,
)
from mlpstorage_bench.mpi.interrupts import RANK_SIGNALS, Interrupts
from mlpstorage_bench.mpi.notices import Notices
from mlpstorage_bench.mpi.posts import Posts
from mlpstorage_bench.mpi.ranks import Notice
from mlpstorage_bench.process.stderr import say

if TYPE_CHECKING:
    from mpi4py import MPI

T = TypeVar("T")

_HEADER = struct.Struct("5q")
"""Header of a rank: phase, checksum of the label, notices sent, posts sent, whether it has a value.
"""


class CheckedCollective:
    """A collective in progress: exchange headers, then run the operation if all are equal.

    Where no rank has a value, only the headers are exchanged. An interrupted rank keeps the
    collective and finishes it before its next one, because the other ranks take part in it.
    """

    def __init__(
        self, comm: MpiComm, here: SyncPoint, operation: Callable[[], Any], *, has_value: bool
    ) -> None:
        self.here = here
        self._comm = comm
        self._operation = operation
        label = zlib.crc32(here.label.encode())
        sent = comm.notices.sent, comm.posts.sent
        self._mine = _HEADER.pack(here.phase, label, *sent, has_value)
        self._all = bytearray(comm.size * _HEADER.size)
        self._request = comm.control.Iallgather(self._mine, self._all)

    def has_arrived(self) -> bool:
        """Whether every rank's header has arrived."""
        return self._request.Test()

    def complete(self) -> Any:
        """Run the operation, or raise RanksDivergedError; the same on every rank."""
        __tracebackhide__ = True
        headers = set(_HEADER.iter_unpack(self._all))  # usually one: all are equal
        if len({(phase, label) for phase, label, *_ in headers}) == 1:
            has_value = any(has_value for *_, has_value in headers)
            result = self._operation() if has_value else [None] * self._comm.size
            self._drop_notices()
            return result
        sync_points = self._comm.control.allgather(self.here)
        self._drop_notices()
        raise RanksDivergedError(self.here, sync_points)

    def _drop_notices(self) -> None:
        sent = [*_HEADER.iter_unpack(self._all)]
        self._comm.notices.drop([notices for _, _, notices, _, _ in sent])
        self._comm.posts.drop([posts for _, _, _, posts, _ in sent])


class MpiComm:
    """Communicator of the ranks of an MPI job (see the module's docstring)."""

    def __init__(self, world: MPI.Intracomm) -> None:
        self.rank = world.Get_rank()
        self.size = world.Get_size()
        self.control = world.Dup()
        self.notices = Notices(world.Dup())
        self._users = world.Dup()
        self.posts = Posts(world.Dup())
        self._unfinished: CheckedCollective | None = None
        self._collectives = 0
        parent = StatusChannel.of_this_process()
        report_stop = None if parent is None else partial(parent.report_stop, self.rank)
        self._interrupts = Interrupts(report_stop)
        self._pack, self._unpack = _pickling()
        """Values are packed before the exchange: an unpicklable one fails on its own rank alone."""
        self._interrupts.handle(RANK_SIGNALS)

    @property
    def waits_at(self) -> str | None:
        """Label of the collective in which this rank waits now; None when it does not wait."""
        collective = self._unfinished
        return None if collective is None else collective.here.label

    @property
    def library(self) -> str:
        """Name and version of the MPI library."""
        from mpi4py import MPI  # noqa: PLC0415 - MPI is imported only where it is in use

        return library_title(MPI.Get_library_version())

    @property
    def mpi4py(self) -> MPI.Intracomm:
        """A communicator of mpi4py over the same ranks, apart from our own traffic."""
        return self._users

    def barrier(self) -> None:
        """Wait until every rank is here."""
        __tracebackhide__ = True
        self._run_in_test("barrier", lambda: None)

    def bcast(self, value: T, root: int = 0) -> T:
        """Return root's value on every rank."""
        __tracebackhide__ = True
        check_root(root, self.size)
        packed = self._pack(value) if self.rank == root else None
        sent: T = self._unpack(
            self._run_in_test(f"bcast from {root}", lambda: self.control.bcast(packed, root))
        )
        return sent

    def gather(self, value: T, root: int = 0) -> list[T] | None:
        """Return every rank's value, in rank order, on root; None elsewhere."""
        __tracebackhide__ = True
        check_root(root, self.size)
        packed = self._pack(value)
        gathered = self._run_in_test(f"gather to {root}", lambda: self.control.gather(packed, root))
        return None if gathered is None else [self._unpack(one) for one in gathered]

    def allgather(self, value: T) -> list[T]:
        """Return every rank's value, in rank order, on every rank."""
        __tracebackhide__ = True
        packed = self._pack(value)
        gathered = self._run_in_test("allgather", lambda: self.control.allgather(packed))
        return [self._unpack(one) for one in gathered]

    def allreduce(self, value: float, op: Reduction = "sum") -> float:
        """Return the sum, least or greatest of every rank's value, on every rank."""
        __tracebackhide__ = True
        check_reduction(op)
        reductions: dict[str, Callable[[list[float]], float]] = {
            "sum": sum,
            "min": min,
            "max": max,
        }
        packed = self._pack(value)
        values = self._run_in_test(f"allreduce {op}", lambda: self.control.allgather(packed))
        return reductions[op]([self._unpack(one) for one in values])

    def merge(self, value: T, add: Callable[[T, T], T]) -> T | None:
        """Return the sum of every rank's value on rank 0; None elsewhere."""
        __tracebackhide__ = True
        total: T | None = self._run_in_test(
            "merge to 0", lambda: point_to_point.merge(self.control, value, add)
        )
        return total

    def clock_offset(self, now_ns: Callable[[], int], clock: int = 0) -> ClockOffset:
        """Return how far this rank's clock is ahead of rank 0's; every rank asks together.

        `clock` is the clock's number: ranks with the same one, but 0, read the same clock.
        """
        __tracebackhide__ = True
        return self._run_in_test(
            "clock offset", lambda: point_to_point.clock_offset(self.control, now_ns, clock)
        )

    def abort(self, code: int, message: str) -> NoReturn:
        """Write the message to standard error and end every rank through MPI_Abort."""
        say(message)
        parent = StatusChannel.of_this_process()
        if parent is not None:
            reason = next(
                (line for line in message.splitlines() if line), "a rank aborted the session"
            )
            parent.send("aborting", f"{code} {reason.removeprefix('mlpstorage: ').rstrip('.')}")
        hydra_guard.abort(code)
        self.control.Abort(code)
        raise SystemExit(code)  # MPI_Abort does not return; this tells the type checker

    def handle_stop_signals(self) -> AbstractContextManager[None]:
        """Do nothing: a rank handles stop signals from the start."""
        return nullcontext()

    def defer_interrupts(self) -> AbstractContextManager[None]:
        """Defer interrupts inside, except in collectives and in `raise_deferred`."""
        return self._interrupts.deferring()

    def raise_deferred(self) -> None:
        """Raise KeyboardInterrupt if one was deferred."""
        self._interrupts.raise_pending()

    def ignore_interrupts(self) -> None:
        """Ignore stop signals from now on: this rank ends its session."""
        self._interrupts.ignore()

    def announce(self, notice: Notice) -> None:
        """Send every other rank a notice; its next collective receives it at the latest."""
        self.notices.send(notice)

    def poll(self, notice: Notice) -> list[int]:
        """Receive the notices that have arrived; return the ranks that sent this one."""
        return self.notices.senders(notice)

    def post(self, figures: bytes) -> None:
        """Send figures of this rank to rank 0; its next collective receives them at the latest."""
        self.posts.send(figures)

    def posted(self) -> Mapping[int, bytes]:
        """Receive the figures that have arrived; return each rank's latest."""
        return self.posts.latest()

    def agree(self, label: str, value: T, *, phase: SessionPhase, grace_s: float | None) -> list[T]:
        """Return every rank's value once all ranks are at `label`."""
        self._collectives = 0
        here = SyncPoint(self.rank, phase, label)
        deadline = None if grace_s is None else time.monotonic() + grace_s
        while True:
            try:
                values: list[T] = self._run_checked(
                    here,
                    lambda: self.control.allgather(value),
                    deadline=deadline,
                    has_value=value is not None,
                )
            except RanksDivergedError as diverged:
                if all(point.phase == phase for point in diverged.sync_points):
                    raise
                if any(point.phase > phase for point in diverged.sync_points):
                    raise
            else:
                return values

    def _run_in_test(self, operation: str, run: Callable[[], T]) -> T:
        __tracebackhide__ = True
        self._collectives += 1
        label = f"{operation} (collective {self._collectives} of this test)"
        result: T = self._run_checked(
            SyncPoint(self.rank, SessionPhase.IN_TEST, label), run, deadline=None
        )
        return result

    def _run_checked(
        self,
        here: SyncPoint,
        operation: Callable[[], Any],
        *,
        deadline: float | None,
        has_value: bool = True,
    ) -> Any:
        __tracebackhide__ = True
        is_in_test = here.phase is SessionPhase.IN_TEST  # else an alarm of a test comes too late
        with self._interrupts.deferring(drops_alarms=not is_in_test):
            if self._unfinished is not None:
                with suppress(
                    RanksDivergedError
                ):  # no caller uses the interrupted operation's result
                    self._finish(self._unfinished, deadline)
            self._unfinished = CheckedCollective(self, here, operation, has_value=has_value)
            return self._finish(self._unfinished, deadline)

    def _finish(self, collective: CheckedCollective, deadline: float | None) -> Any:
        __tracebackhide__ = True
        self._wait(collective, deadline)
        self._unfinished = None
        return collective.complete()

    def _wait(self, collective: CheckedCollective, deadline: float | None) -> None:
        started = time.monotonic()
        while not collective.has_arrived():
            now = time.monotonic()
            self._interrupts.raise_pending()
            if deadline is not None and now > deadline:
                raise TimeoutError(f"not every rank arrived at {collective.here.label!r}")
            point_to_point.backoff(now - started)


def _pickling() -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    """Return mpi4py's functions that pickle and unpickle the values of ranks."""
    from mpi4py import MPI  # noqa: PLC0415 - MPI is imported only where it is in use

    return MPI.pickle.dumps, MPI.pickle.loads
