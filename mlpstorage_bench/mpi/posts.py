"""Figures that ranks send to rank 0 outside of collectives, without waiting for it.

Rank 0 keeps the latest of each rank. Each collective exchanges the number of figures sent so far,
and receives and drops those still on the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpi4py import MPI

_TAG = 8


class Posts:
    """Figures that this rank has sent to rank 0, or has received there."""

    def __init__(self, comm: MPI.Intracomm) -> None:
        self.sent = 0
        """Figures that this rank has sent to rank 0."""
        self._comm = comm
        self._rank = comm.Get_rank()
        self._received = [0] * comm.Get_size()
        """Figures that each rank has sent to this one."""
        self._requests: list[MPI.Request] = []
        self._latest: dict[int, bytes] = {}

    def send(self, figures: bytes) -> None:
        """Send figures of this rank to rank 0."""
        if self._rank == 0:
            self._latest[0] = figures
            return
        self.sent += 1
        self._requests = [one for one in self._requests if not one.Test()]
        self._requests.append(self._comm.isend(figures, dest=0, tag=_TAG))

    def latest(self) -> Mapping[int, bytes]:
        """Receive the figures that have arrived; return the latest of each rank."""
        while self._comm.iprobe(tag=_TAG):
            self._receive()
        return self._latest

    def drop(self, sent: Sequence[int]) -> None:
        """Receive all that ranks have sent so far, and forget them."""
        if self._rank == 0:
            for peer, number in enumerate(sent):
                while self._received[peer] < number:
                    self._receive()
        self._latest.clear()
        for request in self._requests:
            request.wait()
        self._requests.clear()

    def _receive(self) -> None:
        from mpi4py import MPI  # noqa: PLC0415 - MPI is imported only where it is in use

        status = MPI.Status()
        figures = self._comm.recv(tag=_TAG, status=status)
        self._received[status.Get_source()] += 1
        self._latest[status.Get_source()] = figures
