"""Steps of a case in order: pauses, emptying of the cache, trials; recorded on each rank."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mlpstorage_bench.benchmark_type.records import SequenceStep, Step
from mlpstorage_bench.errors import PeerError
from mlpstorage_bench.measure.clock import RealClock
from mlpstorage_bench.mpi.ranks import Notice, TrialRanks
from mlpstorage_bench.units import NS_PER_S

_POLL_S = 0.1
"""Interval in which a rank that pauses learns of a failure of another one."""


@dataclass
class RunningStep:
    """Facts about a step, which are set while it runs."""

    removed_bytes: int = 0
    """Bytes that it removed from the cache."""
    overlapped_s: float = 0.0
    """Seconds of a pause that had passed when it began."""
    pause_began_ns: int | None = None
    """When the pause after this step began (`RealClock`), if that was before the step's end.

    None on all ranks or on none.
    """


class StepLog:
    """The steps of one case on this rank, which all ranks take together."""

    def __init__(self, ranks: TrialRanks) -> None:
        self._ranks = ranks
        self._clock = RealClock()
        self._steps: list[SequenceStep] = []
        self._reported = 0
        self._pause_began_ns: int | None = None
        """When the pause after the last step began, if that was before the step's end."""

    @property
    def steps(self) -> tuple[SequenceStep, ...]:
        """The completed steps of the case."""
        return tuple(self._steps)

    def begin_case(self) -> None:
        """Forget the steps of the case before."""
        self._steps.clear()
        self._reported = 0
        self._pause_began_ns = None

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
    def record(self, step: Step, trial: int | None) -> Iterator[RunningStep]:
        """Record the code inside as a step, if it succeeds."""
        began_at, began_s, running = time.time(), time.monotonic(), RunningStep()
        yield running
        seconds = time.monotonic() - began_s
        self._pause_began_ns = running.pause_began_ns
        self._steps.append(
            SequenceStep(
                step, trial, began_at, seconds, running.removed_bytes, running.overlapped_s
            )
        )

    def left_of_pause(self, seconds: float) -> float:
        """Return what is left of a pause that comes now, the same on every rank.

        It is shorter by the time that has passed on rank 0, if it began during the last step.
        """
        if self._pause_began_ns is None:
            return seconds
        passed_s = (self._clock.now_ns() - self._pause_began_ns) / NS_PER_S
        return self._ranks.bcast(max(0.0, seconds - passed_s))

    def pause(
        self,
        step: Step,
        trial: int | None,
        seconds: float,
        tick: Callable[[], None],
        *,
        overlapped_s: float = 0.0,
    ) -> None:
        """Wait as a step, from the moment when every rank is here.

        `tick` is called again and again; `overlapped_s` are the seconds of the pause that have
        passed before. Raises PeerError when another rank fails meanwhile. An interrupt ends the
        pause.
        """
        self._ranks.barrier()
        with self.record(step, trial) as running:
            running.overlapped_s = overlapped_s
            ends_s = time.monotonic() + seconds
            while (left_s := ends_s - time.monotonic()) > 0:
                time.sleep(min(_POLL_S, left_s))
                tick()
                self._ranks.raise_deferred()
                failed = self._ranks.poll(Notice.FAILED)
                if failed:
                    raise PeerError(f"rank {', '.join(map(str, failed))} failed during a pause")
