"""Progress of a run for whoever watches it: place in the plan, phase, and figures of all ranks.

Once a second, when it has read its lanes for the series over time, each rank sends rank 0 a message
of 1 KiB and does not wait; rank 0 adds up the latest of each. With many ranks they send less often,
so that rank 0 receives 128 messages a second at most.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlpstorage_bench.measure.coarse_histogram import BUCKETS, Counts, percentile_ns
from mlpstorage_bench.measure.process import cpu_s
from mlpstorage_bench.measure.series_slots import Phase
from mlpstorage_bench.measure.steadiness import PARTS, Criterion, assess
from mlpstorage_bench.mpi.ranks import TrialRanks
from mlpstorage_bench.progress.state import Figures, Progress, Rates, Viewer
from mlpstorage_bench.trial.series_recorder import SeriesReading
from mlpstorage_bench.units import GIB, NS_PER_MS

_MOST_MESSAGES_PER_S = 128
_EARLY_S = 0.5
"""Time by which a reading may be early."""
_NUMBER = np.float32
_P95 = 95.0


@dataclass(frozen=True)
class TrialPlace:
    """A trial in its case, with the planned lengths of its parts."""

    case: str
    trial: int
    trials: int
    pause_before_s: float
    pause_after_s: float
    warmup_s: float
    window_s: float
    """0 where the work decides how long it takes."""
    later_in_test: int = 0
    """Trials that its test runs after those of the case."""

    @property
    def length_s(self) -> float:
        """Planned length of the trial with its pauses; infinite where its work decides."""
        measured_s = self.warmup_s + (self.window_s or math.inf)
        return self.pause_before_s + measured_s + self.pause_after_s


@dataclass(frozen=True)
class WorkCounts:
    """Counts of a rank's lanes so far."""

    found: int
    """Lookups that found something."""
    lookups: int
    in_flight: int
    """Chunks in flight now."""
    errors: int
    """Reads that found other data than was written."""


@dataclass(frozen=True)
class WatchedTrial:
    """The parts of a trial that its watch needs."""

    warmup_s: float
    window_s: float
    """Planned lengths; that of the window is 0 where the work decides."""
    criterion: Criterion
    """When its bandwidth is steady."""
    counts: Callable[[], WorkCounts]


class Watch:
    """The progress of a session's cases on one rank; `viewer` is None where nobody watches."""

    def __init__(self, ranks: TrialRanks, viewer: Viewer | None, *, is_on: bool) -> None:
        self._ranks = ranks
        self._viewer = viewer
        self.is_on = is_on
        """Whether rank 0 shows progress, so that other ranks send theirs."""
        self._place: TrialPlace | None = None
        self._phase = "planning"
        self._length_s: float | None = None
        self._began_s = time.monotonic()
        self._left_s = 0.0
        """Planned time of the trial from the phase's beginning on."""
        self._shown_s = 0.0

    def begin_trial(self, place: TrialPlace) -> None:
        """Begin a trial, with its pause before."""
        self._place = place
        self.begin("planning", None, place.length_s)

    def begin(self, phase: str, length_s: float | None, left_s: float | None = None) -> None:
        """Begin a phase; `left_s` is the planned time of the trial from here, if it is known."""
        if left_s is None:
            left_s = self._remaining_s()
        self._phase, self._length_s, self._left_s = phase, length_s, left_s
        self._began_s = time.monotonic()
        self.show(None)

    def begin_pause(self, seconds: float, *, is_after: bool) -> None:
        """Begin a pause before or after the trial."""
        self.begin("pause", seconds, seconds if is_after else None)

    def tick(self) -> None:
        """Show the phase again after a second."""
        if time.monotonic() - self._shown_s >= 1:
            self.show(None)

    def show(self, figures: Figures | None) -> None:
        """Show the state with these figures."""
        self._shown_s = time.monotonic()
        if self._viewer is None or self._place is None:
            return
        place, viewer = self._place, self._viewer
        self._viewer.show(
            Progress(
                case=place.case,
                trial=place.trial,
                trials=place.trials,
                test=viewer.test,
                tests=viewer.tests,
                phase=self._phase,
                elapsed_s=time.monotonic() - self._began_s,
                length_s=self._length_s,
                left_s=self._left_in_all_s(place, viewer),
                figures=figures,
            )
        )

    def _left_in_all_s(self, place: TrialPlace, viewer: Viewer) -> float | None:
        """Return the time until the end of all tests, as if later trials were like this one."""
        if viewer.later_trials is None:
            return None
        later = place.trials - place.trial + place.later_in_test + viewer.later_trials
        left_s = self._remaining_s() + (later * place.length_s if later else 0.0)
        return left_s if math.isfinite(left_s) else None

    def _remaining_s(self) -> float:
        return max(0.0, self._left_s - (time.monotonic() - self._began_s))

    def of_trial(self, trial: WatchedTrial) -> TrialWatch:
        """Return the watch of a trial's phases."""
        return TrialWatch(self, self._ranks, trial)

    @property
    def place(self) -> TrialPlace | None:
        """The trial that runs; None before the first."""
        return self._place


class TrialWatch:
    """The phases of one trial with lanes: sends this rank's figures, and shows those of all."""

    def __init__(
        self,
        watch: Watch,
        ranks: TrialRanks,
        trial: WatchedTrial,
    ) -> None:
        self._watch = watch
        self._ranks = ranks
        self._trial = trial
        self._every_s = max(1.0, ranks.size / _MOST_MESSAGES_PER_S)
        self._sent_s = 0.0
        self._cpu_s = 0.0
        self._rates: list[float] = []

    def began(self, phase: Phase) -> None:
        """Begin a phase of the series."""
        trial, place = self._trial, self._watch.place
        after_s = 0.0 if place is None else place.pause_after_s
        self._rates, self._cpu_s = [], cpu_s()
        if phase == "warm-up":
            left_s = trial.warmup_s + (trial.window_s or math.inf) + after_s
            self._watch.begin(phase, trial.warmup_s, left_s)
        elif phase == "window":
            left_s = (trial.window_s or math.inf) + after_s
            self._watch.begin(phase, trial.window_s or None, left_s)
        else:
            self._watch.begin(phase, None)

    def ended_window(self) -> None:
        """Begin the drain."""
        self._watch.begin("drain", None)

    def read(self, reading: SeriesReading) -> None:
        """Send the figures of an interval; on rank 0, show those of all ranks."""
        now_s = time.monotonic()
        if not self._watch.is_on or now_s - self._sent_s < self._every_s - _EARLY_S:
            return
        self._sent_s = now_s
        self._ranks.post(self._own(reading))
        if self._ranks.rank == 0:
            self._watch.show(self._figures(self._ranks.posted()))

    def _own(self, reading: SeriesReading) -> bytes:
        """Return this rank's message: numbers that are added up over ranks, and counts."""
        entries = reading.counts[:, 0]
        counts = self._trial.counts()
        sums = (
            *(reading.moved / GIB / reading.interval_s),
            int(entries.sum()) / reading.interval_s,
            *(reading.total_moved / GIB / reading.elapsed_s),
            reading.total_operations / reading.elapsed_s,
            int(reading.total_moved.sum()) / GIB,
            cpu_s() - self._cpu_s,
            counts.found,
            counts.lookups,
            counts.in_flight,
            counts.errors,
        )
        return np.concatenate([sums, *entries]).astype(_NUMBER).tobytes()

    def _figures(self, posted: Mapping[int, bytes]) -> Figures:
        """Return the figures of all ranks, from the latest message of each."""
        messages = np.frombuffer(b"".join(posted.values()), _NUMBER).reshape(len(posted), -1)
        total = messages.sum(axis=0, dtype=np.float64)
        reads, writes = total[-2 * BUCKETS :].reshape(2, BUCKETS).astype(np.int64)
        *rates, gib, cpu, found, lookups, in_flight, errors = total[: -2 * BUCKETS].tolist()
        now, mean = Rates(*rates[:3]), Rates(*rates[3:])
        self._rates.append(now.read_gib_s + now.write_gib_s)
        return Figures(
            now=now,
            mean=mean,
            read_p95_ms=_p95_ms(reads),
            write_p95_ms=_p95_ms(writes),
            hit_rate=found / lookups if lookups else None,
            cpu_s_per_gib=cpu / gib if gib else None,
            in_flight=round(in_flight),
            errors=round(errors),
            is_steady=_is_steady(self._rates, self._trial.criterion),
        )


def _p95_ms(counts: Counts) -> float | None:
    value = percentile_ns(counts, _P95)
    return None if value is None else value / NS_PER_MS


def _is_steady(rates: Sequence[float], criterion: Criterion) -> bool | None:
    return assess(rates[-PARTS:], criterion).is_steady if len(rates) >= PARTS else None
