"""The simulated accelerator of a rank: takes batches, and works on each for its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from mlpstorage_bench.measure.clock import Clock
from mlpstorage_bench.storage.lane_waits import CutOffError, WaitList
from mlpstorage_bench.training.results.rank_training import EpochTimes
from mlpstorage_bench.units import NS_PER_S


class Accelerator:
    """Runs epochs on a lane of its own, and takes their times."""

    def __init__(self, clock: Clock, computation_s: float, stopping: threading.Event) -> None:
        self._clock = clock
        self._computation_ns = round(computation_s * NS_PER_S)
        self._stopping = stopping
        self._nothing = WaitList()
        """Nobody notifies it: a computation ends with its time."""
        self.epochs: list[EpochTimes] = []
        """Epochs so far; the last one has fewer steps if the trial was stopped in it."""

    def run_epoch(self, number: int, steps: int, began_ns: int, take: Callable[[], object]) -> None:
        """Run an epoch of so many steps; `take` waits for the next batch.

        Raises CutOffError if the trial is stopping.
        """
        began_at = time.time() - (self._clock.now_ns() - began_ns) / NS_PER_S
        ended_ns, first_ended_ns = began_ns, began_ns
        done, waited_ns, first_wait_ns, late_ns = 0, 0, 0, 0
        try:
            for _ in range(steps):
                take()
                taken_ns = self._clock.now_ns()
                waited_ns += taken_ns - ended_ns
                self._compute(taken_ns + self._computation_ns)
                ended_ns = self._clock.now_ns()
                if done == 0:
                    first_ended_ns, first_wait_ns = ended_ns, waited_ns
                else:
                    late_ns += ended_ns - taken_ns - self._computation_ns
                done += 1
        finally:
            self.epochs.append(
                EpochTimes(
                    number,
                    done,
                    began_at,
                    began_ns,
                    first_ended_ns,
                    ended_ns,
                    waited_ns,
                    first_wait_ns,
                    late_ns,
                )
            )

    def _compute(self, until_ns: int) -> None:
        """Let the time of a computation pass."""
        while self._clock.now_ns() < until_ns:
            if self._stopping.is_set():
                raise CutOffError
            self._clock.wait(self._nothing, until_ns)
