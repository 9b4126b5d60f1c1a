"""Notices between ranks outside of collectives: one rank says something, and the others poll.

A long phase without collectives, like a measurement window, can end early. Each collective
exchanges the number of notices sent so far, and receives and drops those still on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlpstorage_bench.mpi.ranks import Notice

if TYPE_CHECKING:
    from mpi4py import MPI

_TAG = 7


class Notices:
    """Notices that this rank has sent and received, over a communicator of their own."""

    def __init__(self, comm: MPI.Intracomm) -> None:
        self.sent = 0
        """Notices that this rank has sent to each other rank."""
        self._comm = comm
        self._rank = comm.Get_rank()
        self._size = comm.Get_size()
        self._received = [0] * self._size
        """Notices that each rank has sent to this one."""
        self._requests: list[MPI.Request] = []
        self._kept: list[tuple[int, Notice]] = []
        """Notices since the last collective, with their senders."""

    def send(self, notice: Notice) -> None:
        """Send every other rank a notice."""
        self.sent += 1
        for peer in range(self._size):
            if peer != self._rank:
                request = self._comm.isend(int(notice), dest=peer, tag=_TAG)
                self._requests.append(request)

    def senders(self, notice: Notice) -> list[int]:
        """Receive the notices that have arrived; return the ranks that sent this one."""
        while self._comm.iprobe(tag=_TAG):
            self._receive()
        return sorted(rank for rank, sent in self._kept if sent == notice)

    def drop(self, sent: Sequence[int]) -> None:
        """Receive all that ranks have sent so far, so that none is mistaken for a later one."""
        if not any(sent):
            return
        for peer in range(self._size):
            while peer != self._rank and self._received[peer] < sent[peer]:
                self._receive()
        self._kept.clear()
        for request in self._requests:
            request.wait()
        self._requests.clear()

    def _receive(self) -> None:
        from mpi4py import MPI  # noqa: PLC0415 - MPI is imported only where it is in use

        status = MPI.Status()
        notice = Notice(self._comm.recv(tag=_TAG, status=status))
        self._received[status.Get_source()] += 1
        self._kept.append((status.Get_source(), notice))
