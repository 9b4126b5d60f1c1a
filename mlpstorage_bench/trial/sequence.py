"""Steps of a case in order: pauses, emptying of the cache, trials; recorded on each rank."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mlpstorage_bench.benchmark_type.records import SequenceStep, Step
from mlpstorage_bench.errors import PeerError
from mlpstorage_bench.mpi.ranks import Notice, TrialRanks

_POLL_S = 0.1
"""Interval in which a rank that pauses learns of a failure of another one."""


class RemovedBytes:
    """Bytes that a step removed from the cache; set while the step runs."""

    count = 0


class StepLog:
    """The steps of one case on this rank, which all ranks take together."""

    def __init__(self, ranks: TrialRanks) -> None:
        self._ranks = ranks
        self._steps: list[SequenceStep] = []
        self._reported = 0

    @property
    def steps(self) -> tuple[SequenceStep, ...]:
        """The completed steps of the case."""
        return tuple(self._steps)

    def begin_case(self) -> None:
        """Forget the steps of the case before."""
        self._steps.clear()
        self._reported = 0

    def start_of(self, trial: int) -> float:
        """Return the start of a trial that begins now, in seconds since the epoch.

        Its pause before is part of it, as in the reference's names of files.
        """
        last = self._steps[-1] if self._steps else None
        if last is not None and (last.step, last.trial) == ("pause_before_trial", trial):
            return last.began_at
        return time.time()

    def unreported(self) -> list[SequenceStep]:
        """Return the steps that were completed since the last call."""
        new = self._steps[self._reported :]
        self._reported = len(self._steps)
        return new

    @contextmanager
    def record(self, step: Step, trial: int | None) -> Iterator[RemovedBytes]:
        """Record the code inside as a step, if it succeeds."""
        began_at, began_s, removed = time.time(), time.monotonic(), RemovedBytes()
        yield removed
        seconds = time.monotonic() - began_s
        self._steps.append(SequenceStep(step, trial, began_at, seconds, removed.count))

    def pause(
        self, step: Step, trial: int | None, seconds: float, tick: Callable[[], None]
    ) -> None:
        """Wait as a step, from the moment when every rank is here.

        `tick` is called again and again. Raises PeerError when another rank fails meanwhile. An
        interrupt ends the pause.
        """
        self._ranks.barrier()
        with self.record(step, trial):
            ends_s = time.monotonic() + seconds
            while (left_s := ends_s - time.monotonic()) > 0:
                time.sleep(min(_POLL_S, left_s))
                tick()
                self._ranks.raise_deferred()
                failed = self._ranks.poll(Notice.FAILED)
                if failed:
                    raise PeerError(f"rank {', '.join(map(str, failed))} failed during a pause")
