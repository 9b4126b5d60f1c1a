"""Point-to-point algorithms inside a checked collective: tree reduction, clock comparison."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from mlpstorage_bench.measure.clock_offset import ClockOffset, Exchange, has_enough

if TYPE_CHECKING:
    from mpi4py import MPI

T = TypeVar("T")

_MERGE_TAG = 11
_CLOCK_TAG = 12

_YIELD_S = 0.002
"""Time in seconds during which a waiting rank yields the processor instead of sleeping: ranks
usually arrive together, and a rank that sleeps returns to cold caches and preempts another."""
_LEAST_PAUSE_S = 0.0002
"""First pause after that; short, as MPICH only makes progress while it is polled."""
_PAUSE_SHARE = 1 / 32
"""Pause as a share of the time waited, so that many waiting ranks leave the cores to others."""
_MOST_PAUSE_S = 0.005


def backoff(waited_s: float) -> None:
    """Yield or sleep between two polls, depending on the time waited so far."""
    if waited_s <= _YIELD_S:
        os.sched_yield()
    else:
        time.sleep(min(max(waited_s * _PAUSE_SHARE, _LEAST_PAUSE_S), _MOST_PAUSE_S))


def merge(comm: MPI.Intracomm, value: T, add: Callable[[T, T], T]) -> T | None:
    """Return the sum of every rank's value on rank 0; None elsewhere.

    Binomial tree: in step k, each remaining rank with bit k set sends its sum to the rank without
    that bit and is done. So rank 0 makes log2(ranks) additions, rounded up.
    """
    rank, size = comm.Get_rank(), comm.Get_size()
    step = 1
    while step < size:
        if rank & step:
            comm.send(value, dest=rank - step, tag=_MERGE_TAG)
            return None
        if rank + step < size:
            _await_message(comm, rank + step, _MERGE_TAG)
            value = add(value, comm.recv(source=rank + step, tag=_MERGE_TAG))
        step *= 2
    return value


def clock_offset(comm: MPI.Intracomm, now_ns: Callable[[], int], clock: int) -> ClockOffset:
    """Return how far this rank's clock is ahead of rank 0's; 0 if both have one number, but 0.

    Of other ranks with one number, the first is queried well, and all have its offset: they agree
    exactly, and hundreds of ranks are compared in the time of their hosts.

    Rank 0 queries one rank after the other, so that no other messages are on the way. A query is a
    zero, and its answer the time and the clock's number; the last message is the number 1 with the
    three numbers of the offset.
    """
    message = np.zeros(4, dtype=np.int64)
    if comm.Get_rank() == 0:
        known: dict[int, ClockOffset] = {}
        for peer in range(1, comm.Get_size()):
            offset = _query(comm, peer, now_ns, clock, known)
            message[:] = (1, offset.at_ns, offset.ahead_ns, offset.uncertainty_ns)
            comm.Send(message, dest=peer, tag=_CLOCK_TAG)
        return ClockOffset.none(now_ns())
    _await_message(comm, 0, _CLOCK_TAG)  # rank 0 queries the ranks in order
    answer = np.array([0, clock], dtype=np.int64)
    while True:
        comm.Recv(message, source=0, tag=_CLOCK_TAG)
        if message[0]:
            return ClockOffset(*(int(number) for number in message[1:]))
        answer[0] = now_ns()
        comm.Send(answer, dest=0, tag=_CLOCK_TAG)


def _query(
    comm: MPI.Intracomm,
    peer: int,
    now_ns: Callable[[], int],
    clock: int,
    known: dict[int, ClockOffset],
) -> ClockOffset:
    """Query another rank's clock until the offset is known well enough; once if it is ours.

    `known` has the offsets of other clocks by their numbers, to which this one's is added.
    """
    question = np.zeros(4, dtype=np.int64)
    answer = np.zeros(2, dtype=np.int64)
    exchanges: list[Exchange] = []
    while not has_enough(exchanges):
        asked_ns = now_ns()
        comm.Send(question, dest=peer, tag=_CLOCK_TAG)
        comm.Recv(answer, source=peer, tag=_CLOCK_TAG)
        received_ns, remote_ns, number = now_ns(), int(answer[0]), int(answer[1])
        if number and number == clock:
            return ClockOffset.none(remote_ns)
        if number in known:
            return known[number]
        exchanges.append(Exchange(asked_ns, remote_ns, received_ns))
    offset = ClockOffset.of(exchanges)
    if number:
        known[number] = offset
    return offset


def _await_message(comm: MPI.Intracomm, source: int, tag: int) -> None:
    """Wait for a message with polling that leaves the cores to other ranks."""
    started = time.monotonic()
    while not comm.iprobe(source=source, tag=tag):
        backoff(time.monotonic() - started)
